"""One attempt at one delivery: from what the ledger knows of it to what the ledger records of it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from weekbot.delivery.context import Context, Safeguards
from weekbot.delivery.deadline import deadline_at, from_now, is_over
from weekbot.delivery.errors import (
    AmbiguousError,
    GoneError,
    HistoryUnreadableError,
    PermanentError,
    RefusedContentError,
    RetryableError,
)
from weekbot.delivery.ports import NONCE_KNOWN, Read, Sent
from weekbot.delivery.retry import pause_after
from weekbot.delivery.server_share import ServerShare
from weekbot.delivery.token_users import Sign
from weekbot.delivery.worker import GivenUp, Retried, settle
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.planning import planner, planner_of_post, too_late
from weekbot.domain.steps import StepName, requested_steps
from weekbot.i18n.language import N_
from weekbot.runtime.log import bind_log_context
from weekbot.runtime.repeated_warnings import RepeatedWarnings
from weekbot.store.deliveries import Deliveries
from weekbot.store.shown_topics import ShownTopic

log = logging.getLogger(__name__)

ATTEMPT_SECONDS = 40
LOOK_BACK = timedelta(minutes=5)  # from the first attempt: an earlier version went by the machine's clock
MOST_REFUSALS = 25  # of a server in ten minutes: two hundred servers at their worst leave the others' posts alone
TOO_MANY = N_("Discord refused too many posts in this server; weekbot tries no more for some minutes")
TRIES = 3  # of a topic that Discord refuses in a channel, and of such topics
SETTLED_AFTER = timedelta(seconds=65)  # Discord may carry out an unanswered request this much later
REMOVED = N_("somebody removed the post")
LEFT = N_("weekbot is no longer in the server")
LEASE = timedelta(seconds=45)  # longer than an attempt, and short enough for the nonce to be known at the next


class Poster:
    """Attempts one delivery: from the ledger's knowledge of it to its outcome in the ledger.

    If `first_attempt_at` is set, the outcome is unknown: the post may be in the channel already. A claimed delivery has
    its attempt on record, and is leased until `LEASE` has passed. `has_left` confirms that the bot is no longer in a
    server, as the ledger may be wrong bind_log_context that.
    """

    def __init__(
        self,
        context: Context,
        deliveries: Deliveries,
        safeguards: Safeguards,
        has_left: Callable[[int], Awaitable[bool]],
    ) -> None:
        self._library = context.library
        self._sender = context.sender
        self._clock = context.clock
        self._catch_up = context.catch_up
        self._deliveries = deliveries
        self._metrics = safeguards.metrics
        self._refused_topics = safeguards.refused_topics
        self._outage = safeguards.outage
        self._token_users = safeguards.token_users
        self._verification = safeguards.verification
        self._has_left = has_left
        self._refusals = ServerShare(MOST_REFUSALS, timedelta(minutes=10), self._clock)
        self._in_flight: set[str] = set()
        self._trouble = RepeatedWarnings(log, "attempts at posts failed and are repeated")

    async def attempt(self, delivery: Delivery, deadline: float) -> None:
        """Post the delivery unless it is posted, and record the outcome; never twice at once.

        Nothing is sent after the deadline, as the delivery is claimed again soon after.
        """
        if delivery.id in self._in_flight or is_over(deadline):
            return
        self._in_flight.add(delivery.id)
        bind_log_context(delivery.log_fields)
        try:
            await settle(self, delivery, self._carry_out(delivery, deadline))
        finally:
            self._in_flight.discard(delivery.id)

    async def _carry_out(self, delivery: Delivery, deadline: float) -> None:
        subscription = delivery.subscription
        if subscription.guild_left and await self._has_left(subscription.guild_id):
            await self._refused(delivery, PermanentError(LEFT), told=False)
        elif self._cannot_be_repeated(delivery):
            await self._look_up(delivery, deadline)
        elif delivery.first_attempt_at is None and (reason := self._not_wanted(delivery)):
            await self._missed(delivery, reason)
        elif delivery.first_attempt_at is None and self._nonce_may_be_forgotten(delivery):
            await self._look_first(delivery, deadline)
        else:
            await self._send(delivery, deadline)

    def _nonce_may_be_forgotten(self, delivery: Delivery) -> bool:
        """Whether a program with another ledger may have posted it before Discord forgot the nonce.

        In a long broadcast a first attempt is late, too. It is looked up only if such a program was noticed, because
        look-ups would halve the pace; after a start each channel is looked up anyway.
        """
        suspected = delivery.attempts > 1 or self._token_users.recent is not None
        late = self._clock.now() - delivery.slot >= NONCE_KNOWN
        return suspected and late and not self._verification.is_fresh(delivery.subscription)

    async def _look_first(self, delivery: Delivery, deadline: float) -> None:
        """Send the delivery unless it is already in the channel. If the look-up fails, it is sent anyway."""
        try:
            async with deadline_at(deadline):
                read = await self._sender.find(delivery, self._since(delivery), delivery.cursor)
        except (HistoryUnreadableError, RetryableError, AmbiguousError) as error:
            if isinstance(refusal := error.__cause__, PermanentError):
                await self._refused(delivery, refusal)
                return
            log.info("sent without a look-up, which failed: %s", error)
            read = Read([])
        if read.posts:
            self._token_users.notice(Sign.POST)
        if read.posts or read.cursor:
            await self._settle_by(delivery, read)
        else:
            await self._send(delivery, deadline)

    def _not_wanted(self, delivery: Delivery) -> str | None:
        """Why a delivery that is certainly not posted should not be posted any more."""
        if not delivery.subscription.active:
            return N_("the channel was unsubscribed")
        if delivery.subscription.paused and delivery.scheduled:
            return N_("the channel was paused")
        if too_late(delivery.slot, self._clock.now(), self._catch_up):
            return delivery.reason or N_("it could not be posted in time")
        return None

    def _cannot_be_repeated(self, delivery: Delivery) -> bool:
        """Whether sending it again could double the post, or cannot be, as its topic has left the content."""
        first = delivery.first_attempt_at
        if first is None:
            return False
        if self._library().find(delivery.topic) is None:
            return True
        return self._clock.now() - first >= self._sender.nonce_known(delivery)

    async def _look_up(self, delivery: Delivery, deadline: float) -> None:
        """Settle an unknown outcome by the channel's history, as far as it is read by now."""
        async with deadline_at(deadline):
            read = await self._sender.find(delivery, self._since(delivery), delivery.cursor)
        await self._settle_by(delivery, read)

    async def _settle_by(self, delivery: Delivery, read: Read) -> None:
        """Record what was found, read on, or send what is not there."""
        if read.posts:
            post = read.posts[0]
            await self._record(delivery, Sent(post.message_id, post.channel_id, topic=post.topic), found=True)
        elif read.cursor:
            log.info("looked up to %s; reading on", read.cursor)
            await self._deliveries.read_on(delivery, read.cursor, self._clock.now())
        else:
            await self._send_again(delivery)

    def _since(self, delivery: Delivery) -> datetime:
        """Where to begin in the history."""
        return min(delivery.first_attempt_at or delivery.slot, self._clock.now()) - LOOK_BACK

    async def _send_again(self, delivery: Delivery) -> None:
        not_posted = replace(delivery, first_attempt_at=None)
        if reason := self._not_wanted(not_posted):
            await self._missed(not_posted, reason)
            return
        deadline = from_now(ATTEMPT_SECONDS)  # before what may be held up, as the lease may end meanwhile
        if await self._deliveries.begin_again(not_posted, self._clock.now(), LEASE):
            await settle(self, not_posted, self._send(not_posted, deadline))

    async def _send(self, delivery: Delivery, deadline: float) -> None:
        library = self._library()
        topic = library.find(delivery.topic)
        if topic is None:
            if replanned := await self._deliveries.replan(delivery, planner(library)):
                bind_log_context(replanned.log_fields)
                await settle(self, replanned, self._send(replanned, deadline))
            return
        async with deadline_at(deadline):
            self._check_share(delivery.subscription.guild_id)
            sent = await self._sender.send(delivery, topic)
        first = delivery.first_attempt_at is None
        if sent.foreign and first and delivery.attempts == 1:
            self._token_users.notice(Sign.POST)
        # What an earlier attempt may have posted may show an earlier version.
        await self._record(delivery, sent if first else replace(sent, version=None))

    def _check_share(self, guild_id: int) -> None:
        """Raises RetryableError if the server has used up its share of the refusals that Discord counts."""
        if pause := self._refusals.pause(guild_id):
            raise RetryableError(TOO_MANY, pause)

    async def give_up(self, delivery: Delivery, error: GivenUp) -> None:
        """Handle a permanent error. If an earlier attempt may have posted, the channel is looked up first."""
        match error:
            case GoneError():
                await self._removed(delivery)
            case HistoryUnreadableError():
                if isinstance(refusal := error.__cause__, PermanentError):
                    await self._refused(delivery, refusal)
                else:
                    await self._unverified(delivery, str(error))
            case _ if delivery.first_attempt_at:
                await self._look_up_later(delivery, error)
            case RefusedContentError():
                await self._refused_content(delivery, error)
            case _:
                await self._refused(delivery, error)

    async def _record(self, delivery: Delivery, sent: Sent, *, found: bool = False) -> None:
        steps, now = requested_steps(delivery.subscription.options), self._clock.now()
        in_forum = sent.channel_id != delivery.subscription.channel_id
        if in_forum or (delivery.attempts > 1 and not self._sender.nonce_known(delivery)):
            steps.append(StepName.STRAYS)
        await self._deliveries.sent(
            delivery,
            sent.message_id,
            sent.channel_id,
            steps,
            now,
            sent.version,
            sent.form,
            found=found,
            shown=self._shown(delivery, sent),
        )
        if self._outage.succeeded(delivery.subscription.guild_id):
            await self._deliveries.hasten(now)
        late = now - delivery.slot if delivery.scheduled else None
        self._metrics.posted(late)
        more = {"late_seconds": round(late.total_seconds(), 1)} if late is not None else {}
        log.info("found posted" if found else "posted", extra={"message_id": sent.message_id, **more})

    def _shown(self, delivery: Delivery, sent: Sent) -> ShownTopic | None:
        """The topic of the message, if it isn't the planned one."""
        if sent.topic in (None, delivery.topic):
            return None
        log.warning("the post shows %s instead of %s", sent.topic, delivery.topic)
        return ShownTopic(sent.topic, planner_of_post(self._library(), sent.topic))

    async def _removed(self, delivery: Delivery) -> None:
        """Discord knows the nonce, but its message is gone: somebody removed the post."""
        log.info("posted, and removed by somebody")
        await self._deliveries.removed(delivery, REMOVED, self._clock.now())
        self._metrics.posted(None)

    async def _refused_content(self, delivery: Delivery, error: RefusedContentError) -> None:
        """Retry, because the channel may be at fault. If that fails, or others refuse it too, post the next topic."""
        now, library, channel_id = self._clock.now(), self._library(), delivery.subscription.channel_id
        topic = library.topics[delivery.topic]
        await self._refused_topics.note(topic, channel_id, str(error), now)
        if topic.slug not in self._refused_topics.topics(library) and delivery.attempts % TRIES:
            await self.retry(delivery, error)
        elif delivery.attempts >= TRIES**2:
            await self._refused(delivery, error)
        else:
            rest = library.without(self._refused_topics.refused_in(library, channel_id) | {topic.slug})
            if other := await self._deliveries.replan(delivery, planner(rest)):
                await self._deliveries.failed(other, now, str(error), now, outcome_known=True)

    async def _look_up_later(self, delivery: Delivery, error: PermanentError) -> None:
        """An earlier attempt may have succeeded, whatever Discord answers now: check the channel."""
        now = self._clock.now()
        at = max(now, (delivery.first_attempt_at or now) + self._settled_after(delivery))
        await self._deliveries.failed(delivery, at, str(error), now, outcome_known=False)
        self._metrics.retried()

    def _settled_after(self, delivery: Delivery) -> timedelta:
        """How long after an attempt its post may still appear."""
        return self._sender.nonce_known(delivery) or SETTLED_AFTER

    async def _missed(self, delivery: Delivery, reason: str) -> None:
        log.warning("missed: %s", reason)
        await self._deliveries.missed(delivery, reason, self._clock.now())
        self._metrics.ended(State.MISSED)

    async def _unverified(self, delivery: Delivery, reason: str) -> None:
        log.warning("may or may not be posted: %s", reason)
        await self._deliveries.unverified(delivery, reason, self._clock.now())
        self._metrics.ended(State.UNVERIFIED)

    async def _refused(self, delivery: Delivery, error: PermanentError, *, told: bool = True) -> None:
        log.warning("refused: %s", error)
        self._refusals.take(delivery.subscription.guild_id)
        state = State.BLOCKED if delivery.first_attempt_at is None else State.UNVERIFIED
        await self._deliveries.blocked(delivery, str(error), self._clock.now(), state=state, told=told)
        self._metrics.ended(state)

    async def retry(self, delivery: Delivery, error: RefusedContentError | Retried) -> None:
        now, wait, reason = self._clock.now(), pause_after(error, delivery.attempts), str(error)
        if self._cannot_be_repeated(delivery) and too_late(delivery.slot, now, self._catch_up + LEASE):
            await self._unverified(delivery, reason)
            return
        if not (isinstance(error, RetryableError) and error.after):
            self._outage.failed(delivery.subscription.guild_id, reason)
        if isinstance(error, AmbiguousError) and not self._sender.nonce_known(delivery):
            wait = max(wait, SETTLED_AFTER)
        at = now + wait
        self._trouble.warn(reason, "tried again at %s: %s", at.isoformat(timespec="seconds"), reason)
        known = delivery.first_attempt_at is None and not isinstance(error, AmbiguousError)
        await self._deliveries.failed(delivery, at, reason, now, outcome_known=known)
        self._metrics.retried()
