"""Attempts at posts."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from weekbot.delivery.context import DeliveryContext
from weekbot.delivery.deadline import deadline_at, from_now, has_passed
from weekbot.delivery.errors import (
    AmbiguousError,
    GoneError,
    HistoryUnreadableError,
    PermanentError,
    RefusedContentError,
    RetryableError,
)
from weekbot.delivery.ports import NONCE_KNOWN, HistoryPage, SentMessage
from weekbot.delivery.post_failures import PostFailures
from weekbot.delivery.retry import pause_after
from weekbot.delivery.token_users import Sign
from weekbot.delivery.worker import FinalError, TemporaryError, run_attempt
from weekbot.domain.deliveries import Delivery
from weekbot.domain.planning import planner, too_late
from weekbot.domain.steps import StepName, requested_steps
from weekbot.i18n.language import N_
from weekbot.runtime.log import RepeatedWarnings
from weekbot.store.deliveries import Deliveries

log = logging.getLogger(__name__)

ATTEMPT_SECONDS = 40
LEASE = timedelta(seconds=45)  # longer than an attempt, and short enough for the nonce to be known at the next
LOOK_BACK = timedelta(minutes=5)  # from the first attempt: an earlier version used the machine's clock
TRIES = 3  # of a topic that Discord refuses in a channel, and of such topics
SETTLED_AFTER = timedelta(seconds=65)  # Discord may execute an unanswered request this much later
LEFT = N_("weekbot is no longer in the server")


class Poster:
    """Attempts claimed deliveries, and records their outcomes.

    If `first_attempt_at` is set, the outcome of an earlier attempt is unknown: the post may be in the channel already.
    `has_left` confirms that the bot is no longer in a server, as the ledger may be wrong about that.
    """

    def __init__(
        self, context: DeliveryContext, deliveries: Deliveries, has_left: Callable[[int], Awaitable[bool]]
    ) -> None:
        self._context = context
        self._sender = context.sender
        self._deliveries = deliveries
        self._failures = PostFailures(context, deliveries)
        self._has_left = has_left
        self._in_flight: set[str] = set()
        self._warnings = RepeatedWarnings(log, "attempts at posts failed and are repeated")

    async def attempt(self, delivery: Delivery, deadline: float) -> None:
        """Post the delivery unless it is being attempted. Nothing is sent after the deadline: another may begin."""
        if delivery.id in self._in_flight or has_passed(deadline):
            return
        self._in_flight.add(delivery.id)
        try:
            await run_attempt(self, delivery, delivery.log_fields, self._attempt(delivery, deadline))
        finally:
            self._in_flight.discard(delivery.id)

    async def _attempt(self, delivery: Delivery, deadline: float) -> None:
        subscription, is_first = delivery.subscription, delivery.first_attempt_at is None
        if subscription.guild_left and await self._has_left(subscription.guild_id):
            await self._failures.refused(delivery, PermanentError(LEFT), notify=False)
        elif self._is_unsafe_to_resend(delivery, self._context.now()):
            await self._record_look_up(delivery, await self._find(delivery, deadline))
        elif is_first and (reason := self._reason_not_to_post(delivery)):
            await self._failures.missed(delivery, reason)
        elif is_first and self._nonce_may_be_forgotten(delivery):
            await self._look_up_and_send(delivery, deadline)
        else:
            await self._send(delivery, deadline)

    def _nonce_may_be_forgotten(self, delivery: Delivery) -> bool:
        """True if a program with another ledger may have posted it before Discord forgot the nonce.

        The first attempts of a long broadcast are late, too. They are looked up only if such a program was noticed,
        because look-ups would halve the rate; after a start, each channel is looked up anyway.
        """
        suspected = delivery.attempts > 1 or self._context.token_users.recent is not None
        late = self._context.now() - delivery.slot >= NONCE_KNOWN
        return suspected and late and not self._context.verification.is_recent(delivery.subscription)

    async def _look_up_and_send(self, delivery: Delivery, deadline: float) -> None:
        """Send the delivery unless it is already in the channel. If the look-up fails unrefused, it is sent anyway."""
        try:
            read = await self._find(delivery, deadline)
        except (HistoryUnreadableError, RetryableError, AmbiguousError) as error:
            if isinstance(error.__cause__, PermanentError):
                raise
            log.info("sent without a look-up, which failed: %s", error)
            read = HistoryPage([])
        if read.posts:
            self._context.token_users.record(Sign.POST)
        if read.posts or read.cursor:
            await self._record_look_up(delivery, read)
        else:
            await self._send(delivery, deadline)

    def _reason_not_to_post(self, delivery: Delivery) -> str | None:
        if not delivery.subscription.active:
            return N_("the channel was unsubscribed")
        if delivery.subscription.paused and delivery.scheduled:
            return N_("the channel was paused")
        if too_late(delivery.slot, self._context.now(), self._context.catch_up):
            return delivery.reason or N_("it could not be posted in time")
        return None

    def _is_unsafe_to_resend(self, delivery: Delivery, at: datetime) -> bool:
        """True if sending it again then could duplicate the post, or is impossible because its topic is gone."""
        first, is_gone = delivery.first_attempt_at, self._context.library().find(delivery.topic) is None
        return first is not None and (is_gone or at - first >= self._sender.nonce_known(delivery))

    async def _find(self, delivery: Delivery, deadline: float) -> HistoryPage:
        since = min(delivery.first_attempt_at or delivery.slot, self._context.now()) - LOOK_BACK
        async with deadline_at(deadline):
            return await self._sender.find(delivery, since, delivery.cursor)

    async def _record_look_up(self, delivery: Delivery, read: HistoryPage) -> None:
        if read.posts:
            post = read.posts[0]
            await self._record(delivery, SentMessage(post.message_id, post.channel_id, topic=post.topic), found=True)
        elif read.cursor:
            log.info("looked up to %s; reading on", read.cursor)
            await self._deliveries.save_cursor(delivery, read.cursor, self._context.now())
        else:
            await self._send_missing(delivery)

    async def _send_missing(self, delivery: Delivery) -> None:
        not_posted = replace(delivery, first_attempt_at=None)
        if reason := self._reason_not_to_post(not_posted):
            await self._failures.missed(not_posted, reason)
            return
        deadline = from_now(ATTEMPT_SECONDS)  # before the transaction, which may take longer than the lease
        if await self._deliveries.restart(not_posted, self._context.now(), LEASE):
            await run_attempt(self, not_posted, not_posted.log_fields, self._send(not_posted, deadline))

    async def _send(self, delivery: Delivery, deadline: float) -> None:
        library = self._context.library()
        topic = library.find(delivery.topic)
        if topic is None:
            if changed := await self._deliveries.change_topic(delivery, planner(library)):
                await run_attempt(self, changed, changed.log_fields, self._send(changed, deadline))
            return
        async with deadline_at(deadline):
            self._failures.check_refusals(delivery.subscription.guild_id)
            sent = await self._sender.send(delivery, topic)
        first = delivery.first_attempt_at is None
        if sent.foreign and first and delivery.attempts == 1:
            self._context.token_users.record(Sign.POST)
        # An earlier attempt may have posted an earlier version.
        await self._record(delivery, sent if first else replace(sent, version=None))

    async def _record(self, delivery: Delivery, sent: SentMessage, *, found: bool = False) -> None:
        steps, now = requested_steps(delivery.subscription.options), self._context.now()
        in_forum = sent.channel_id != delivery.subscription.channel_id
        if in_forum or (delivery.attempts > 1 and not self._sender.nonce_known(delivery)):
            steps.append(StepName.STRAYS)
        message = (sent.message_id, sent.channel_id, steps, now, sent.version, sent.form)
        if shown := self._context.shown_topic(delivery, sent):
            log.warning("the post shows %s instead of %s", shown.slug, delivery.topic)
        await self._deliveries.record_sent(delivery, *message, found=found, shown=shown)
        if self._context.outage.record_success(delivery.subscription.guild_id):
            await self._deliveries.retry_now(now)
        late = now - delivery.slot if delivery.scheduled else None
        self._context.metrics.posted(late)
        fields = {"late_seconds": round(late.total_seconds(), 1)} if late is not None else {}
        log.info("found posted" if found else "posted", extra={"message_id": sent.message_id, **fields})

    async def give_up(self, delivery: Delivery, error: FinalError) -> None:
        """If an earlier attempt may have posted, the channel is looked up first."""
        match error:
            case GoneError():
                await self._failures.removed(delivery)
            case HistoryUnreadableError(__cause__=PermanentError() as refusal):
                await self._failures.refused(delivery, refusal)
            case HistoryUnreadableError():
                await self._failures.unverified(delivery, str(error))
            case _ if delivery.first_attempt_at:
                settled_at = delivery.first_attempt_at + (self._sender.nonce_known(delivery) or SETTLED_AFTER)
                at = max(self._context.now(), settled_at)
                await self._failures.failed(delivery, at, str(error), outcome_known=False)
            case RefusedContentError():
                await self._handle_refused_content(delivery, error)
            case _:
                await self._failures.refused(delivery, error)

    async def _handle_refused_content(self, delivery: Delivery, error: RefusedContentError) -> None:
        """Retry, because the channel may be at fault. If that fails, or others refuse it too, post the next topic."""
        now, library, channel_id = self._context.now(), self._context.library(), delivery.subscription.channel_id
        refused_topics, topic = self._context.refused_topics, library.find(delivery.topic)
        if topic is None:  # the content was reloaded meanwhile
            await self.retry(delivery, error)
            return
        await refused_topics.record(topic, channel_id, str(error), now)
        if topic.slug not in refused_topics.topics(library) and delivery.attempts % TRIES:
            await self.retry(delivery, error)
        elif delivery.attempts >= TRIES**2:
            await self._failures.refused(delivery, error)
        else:
            others = library.without(refused_topics.refused_in(library, channel_id) | {topic.slug})
            if changed := await self._deliveries.change_topic(delivery, planner(others)):
                await self._deliveries.record_failed(changed, now, str(error), now, outcome_known=True)

    async def retry(self, delivery: Delivery, error: RefusedContentError | TemporaryError) -> None:
        now, wait, reason = self._context.now(), pause_after(error, delivery.attempts), str(error)
        was_look_up = self._is_unsafe_to_resend(delivery, delivery.attempt_at or now)
        if was_look_up and too_late(delivery.slot, now, self._context.catch_up + LEASE):
            await self._failures.unverified(delivery, reason)
            return
        if not (isinstance(error, RetryableError) and error.after):
            self._context.outage.record_failure(delivery.subscription.guild_id, reason)
        if isinstance(error, AmbiguousError) and not self._sender.nonce_known(delivery):
            wait = max(wait, SETTLED_AFTER)
        at = now + wait
        self._warnings.warn(reason, "tried again at %s: %s", at.isoformat(timespec="seconds"), reason)
        known = delivery.first_attempt_at is None and not isinstance(error, AmbiguousError)
        await self._failures.failed(delivery, at, reason, outcome_known=known)
