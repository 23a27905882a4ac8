"""One attempt at one delivery: from what the ledger knows of it to what the ledger records of it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from weekbot.clock import Clock
from weekbot.common_trouble import CommonTrouble
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.delivery.in_time import from_now, is_over, until
from weekbot.delivery.outage import Outage
from weekbot.delivery.outcomes import (
    ContentRefusedError,
    GoneError,
    HistoryUnreadableError,
    NotSentError,
    OutcomeUnknownError,
    RefusedError,
)
from weekbot.delivery.plan import planner, planner_of_post, too_late
from weekbot.delivery.ports import NONCE_KNOWN, Account, Read, Sender, Sent
from weekbot.delivery.retries import pause_after
from weekbot.delivery.set_aside import SetAside
from weekbot.delivery.share import Share
from weekbot.delivery.token_users import Sign, TokenUsers
from weekbot.delivery.verification import Verification
from weekbot.errors import WeekbotError
from weekbot.language import N_
from weekbot.log import about
from weekbot.store.deliveries import Deliveries
from weekbot.store.delivery import Delivery, State
from weekbot.store.shown_topics import ShownTopic
from weekbot.store.steps import StepName, wanted

log = logging.getLogger(__name__)

ATTEMPT_SECONDS = 40
LOOK_BACK = timedelta(minutes=5)  # from the first attempt: an earlier version went by the machine's clock
MOST_REFUSALS = 25  # of a server in ten minutes: two hundred servers at their worst leave the others' posts alone
TOO_MANY = N_("Discord refused too many posts in this server; weekbot pauses them for a few minutes")
TRIES = 3  # of a topic that Discord refuses in a channel, and of such topics
SETTLED_AFTER = timedelta(seconds=65)  # Discord may carry out an unanswered request this much later
REMOVED = N_("somebody removed the post")
LEFT = N_("weekbot is no longer in the server")
LEASE = timedelta(seconds=45)  # longer than an attempt, and short enough for the nonce to be known at the next


def latest_end() -> float:
    """Until when a delivery that is taken from now on may be attempted, on the event loop's clock."""
    return from_now(ATTEMPT_SECONDS)


class Poster:
    """A delivery whose `first_attempt_at` is set has an unknown outcome: it may stand in the channel already.

    What is attempted was taken from the ledger, which has the attempt on record and holds it until `LEASE` has passed.
    `has_left` confirms that the bot is no longer in a server, as the ledger may be wrong about that.
    """

    def __init__(
        self,
        library: Callable[[], Library],
        deliveries: Deliveries,
        sender: Sender,
        clock: Clock,
        catch_up: timedelta,
        account: Account,
        has_left: Callable[[int], Awaitable[bool]],
        set_aside: SetAside,
        outage: Outage,
        token_users: TokenUsers,
        verification: Verification,
    ) -> None:
        self._library = library
        self._deliveries = deliveries
        self._sender = sender
        self._clock = clock
        self._catch_up = catch_up
        self._account = account
        self._has_left = has_left
        self._set_aside = set_aside
        self._outage = outage
        self._token_users = token_users
        self._verification = verification
        self._refusals = Share(MOST_REFUSALS, timedelta(minutes=10), clock)
        self._in_flight: set[str] = set()
        self._trouble = CommonTrouble(log, "attempts at posts failed and are repeated")

    async def attempt(self, delivery: Delivery, latest: float) -> None:
        """Post the delivery if it is not posted yet, and record what became of it; never twice at once.

        Nothing is sent after `latest` on the event loop's clock, as it is taken again soon after: the `latest_end` as
        of when it was about to be taken.
        """
        if delivery.id in self._in_flight or is_over(latest):
            return
        self._in_flight.add(delivery.id)
        about(delivery.ids)
        try:
            await self._settle(delivery, latest)
        finally:
            self._in_flight.discard(delivery.id)

    async def _settle(self, delivery: Delivery, latest: float) -> None:
        subscription = delivery.subscription
        if subscription.guild_left and await self._has_left(subscription.guild_id):
            await self._refused(delivery, RefusedError(LEFT), told=False)
        elif self._cannot_be_repeated(delivery):
            await self._look_up(delivery, latest)
        elif delivery.first_attempt_at is None and (reason := self._not_wanted(delivery)):
            await self._missed(delivery, reason)
        elif delivery.first_attempt_at is None and self._nonce_is_no_guard(delivery):
            await self._look_first(delivery, latest)
        else:
            await self._send(delivery, latest)

    def _nonce_is_no_guard(self, delivery: Delivery) -> bool:
        """Whether a program with another ledger may have posted it before Discord forgot the nonce.

        In a long broadcast a first attempt is late, too. It is looked up only if such a program was noticed, because
        look-ups would halve the pace; after a start each channel is looked up anyway.
        """
        suspected = delivery.attempts > 1 or self._token_users.recent is not None
        late = self._clock.now() - delivery.slot >= NONCE_KNOWN
        return suspected and late and not self._verification.is_fresh(delivery.subscription)

    async def _look_first(self, delivery: Delivery, latest: float) -> None:
        """Send the delivery unless it is already in the channel. If the look-up fails, it is sent anyway."""
        try:
            async with until(latest):
                read = await self._sender.find(delivery, self._since(delivery), delivery.cursor)
        except (HistoryUnreadableError, NotSentError, OutcomeUnknownError) as error:
            if isinstance(refusal := error.__cause__, RefusedError):
                await self._refused(delivery, refusal)
                return
            log.info("sent without a look-up, which failed: %s", error)
            read = Read([])
        if read.posts:
            self._token_users.notice(Sign.POST)
        if read.posts or read.cursor:
            await self._settle_by(delivery, read)
        else:
            await self._send(delivery, latest)

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

    async def _look_up(self, delivery: Delivery, latest: float) -> None:
        """Settle an unknown outcome by the channel's history, as far as it is read by now."""
        try:
            async with until(latest):
                read = await self._sender.find(delivery, self._since(delivery), delivery.cursor)
        except HistoryUnreadableError as error:
            refusal = error.__cause__
            if isinstance(refusal, RefusedError):
                await self._refused(delivery, refusal)
            else:
                await self._unverified(delivery, str(error))
        except (NotSentError, OutcomeUnknownError) as error:
            if too_late(delivery.slot, self._clock.now(), self._catch_up + LEASE):
                await self._unverified(delivery, str(error))
            else:
                await self._retry(delivery, error, outcome_known=False)
        else:
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
        latest = latest_end()  # before what may be held up, as the lease may end meanwhile
        if await self._deliveries.begin_again(not_posted, self._clock.now(), LEASE):
            await self._send(not_posted, latest)

    async def _send(self, delivery: Delivery, latest: float) -> None:
        outcome_known = delivery.first_attempt_at is None
        library = self._library()
        topic = library.find(delivery.topic)
        if topic is None:
            replanned = await self._deliveries.replan(delivery, planner(library))
            if replanned is None:
                return
            delivery, topic = replanned, library.topics[replanned.topic]
            about(delivery.ids)
        try:
            async with until(latest):
                self._check_share(delivery.subscription.guild_id)
                sent = await self._sender.send(delivery, topic)
        except (RefusedError, NotSentError, OutcomeUnknownError) as error:
            await self._failed(delivery, topic, error, outcome_known=outcome_known)
        else:
            if sent.foreign and outcome_known and delivery.attempts == 1:
                self._token_users.notice(Sign.POST)
            # What an earlier attempt may have posted may show an earlier version.
            await self._record(delivery, sent if outcome_known else replace(sent, version=None))

    def _check_share(self, guild_id: int) -> None:
        """Raises NotSentError if the server has used up its share of the refusals that Discord counts."""
        if pause := self._refusals.pause(guild_id):
            raise NotSentError(TOO_MANY, pause)

    async def _failed(self, delivery: Delivery, topic: Topic, error: WeekbotError, *, outcome_known: bool) -> None:
        """Handles an error. If an earlier attempt may have posted, the channel is looked up first."""
        match error:
            case GoneError():
                await self._removed(delivery)
            case RefusedError() if not outcome_known:
                await self._look_up_later(delivery, error)
            case ContentRefusedError():
                await self._refused_content(delivery, topic, error)
            case RefusedError():
                await self._refused(delivery, error)
            case _:
                known = outcome_known and isinstance(error, NotSentError)
                await self._retry(delivery, error, outcome_known=known)

    async def _record(self, delivery: Delivery, sent: Sent, *, found: bool = False) -> None:
        steps, now = wanted(delivery.subscription.options), self._clock.now()
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
        self._account.posted(late)
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
        self._account.posted(None)

    async def _refused_content(self, delivery: Delivery, topic: Topic, error: ContentRefusedError) -> None:
        """Retry, because the channel may be at fault. If that fails, or others refuse it too, post the next topic."""
        now, library, channel_id = self._clock.now(), self._library(), delivery.subscription.channel_id
        await self._set_aside.note(topic, channel_id, str(error), now)
        if topic.slug not in self._set_aside.topics(library) and delivery.attempts % TRIES:
            await self._retry(delivery, error, outcome_known=True)
        elif delivery.attempts >= TRIES**2:
            await self._refused(delivery, error)
        else:
            rest = library.without(self._set_aside.refused_in(library, channel_id) | {topic.slug})
            if other := await self._deliveries.replan(delivery, planner(rest)):
                await self._deliveries.retry(other, now, str(error), now, outcome_known=True)

    async def _look_up_later(self, delivery: Delivery, error: RefusedError) -> None:
        """An earlier attempt may have succeeded, whatever Discord answers now: check the channel."""
        now = self._clock.now()
        at = max(now, (delivery.first_attempt_at or now) + self._settled_after(delivery))
        await self._deliveries.retry(delivery, at, str(error), now, outcome_known=False)
        self._account.retried()

    def _settled_after(self, delivery: Delivery) -> timedelta:
        """How long after an attempt its post may still appear."""
        return self._sender.nonce_known(delivery) or SETTLED_AFTER

    async def _missed(self, delivery: Delivery, reason: str) -> None:
        log.warning("missed: %s", reason)
        await self._deliveries.missed(delivery, reason, self._clock.now())
        self._account.ended(State.MISSED)

    async def _unverified(self, delivery: Delivery, reason: str) -> None:
        log.warning("may or may not be posted: %s", reason)
        await self._deliveries.unverified(delivery, reason, self._clock.now())
        self._account.ended(State.UNVERIFIED)

    async def _refused(self, delivery: Delivery, error: RefusedError, *, told: bool = True) -> None:
        log.warning("refused: %s", error)
        self._refusals.take(delivery.subscription.guild_id)
        state = State.BLOCKED if delivery.first_attempt_at is None else State.UNVERIFIED
        await self._deliveries.blocked(delivery, str(error), self._clock.now(), state=state, told=told)
        self._account.ended(state)

    async def _retry(self, delivery: Delivery, error: Exception, *, outcome_known: bool) -> None:
        now, wait, reason = self._clock.now(), pause_after(error, delivery.attempts), str(error)
        if not (isinstance(error, NotSentError) and error.after):
            self._outage.failed(delivery.subscription.guild_id, reason)
        if isinstance(error, OutcomeUnknownError) and not self._sender.nonce_known(delivery):
            wait = max(wait, SETTLED_AFTER)
        at = now + wait
        self._trouble.warn(reason, "tried again at %s: %s", at.isoformat(timespec="seconds"), reason)
        await self._deliveries.retry(delivery, at, reason, now, outcome_known=outcome_known)
        self._account.retried()
