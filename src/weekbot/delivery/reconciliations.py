"""Before anything more is posted in a channel: what stands there that the ledger, of an earlier time, does not know."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from weekbot.delivery.context import Context, Safeguards
from weekbot.delivery.deadline import deadline_at
from weekbot.delivery.ports import Read
from weekbot.delivery.posts import ATTEMPT_SECONDS, LEASE
from weekbot.delivery.retry import pause_after
from weekbot.delivery.token_users import Sign
from weekbot.delivery.worker import GivenUp, Retried, settle
from weekbot.domain.planning import planner_of_post, planner_of_unverified
from weekbot.domain.reconciliations import CLOCK_SKEW, Post, Reconciliation
from weekbot.domain.steps import requested_steps
from weekbot.runtime.log import bind_log_context
from weekbot.runtime.repeated_warnings import RepeatedWarnings
from weekbot.store.reconciliations import Reconciliations

log = logging.getLogger(__name__)

Recorded = TypeVar("Recorded")
MOST_ATTEMPTS = 150  # a day's; or so many thousand messages
OLDER_COPY = (
    "the database does not know posts from before this start, and learns them now: it is an older copy, or another"
    " program posts with the bot's token. After the next restore run `weekbot db mark-restored` before weekbot starts"
)


class ReconciliationHandler:
    """Looks up what was posted in a channel, the next slot first. A look-up has as long as an attempt at a post."""

    seconds = ATTEMPT_SECONDS

    def __init__(self, context: Context, reconciliations: Reconciliations, safeguards: Safeguards) -> None:
        self._library = context.library
        self._sender = context.sender
        self._clock = context.clock
        self._reconciliations = reconciliations
        self._verification = safeguards.verification
        self._token_users = safeguards.token_users
        self._started: datetime | None = None
        self._is_warned = False
        self._is_done = False
        self._trouble = RepeatedWarnings(log, "channels could not be looked up and will be again")

    async def claim(self, now: datetime, limit: int) -> Sequence[Reconciliation]:
        self._started = self._started or now
        return await self._reconciliations.claim(now, LEASE, limit)

    async def next_at(self) -> datetime | None:
        """At once if posts that waited for a look-up may have become due since they were last looked for."""
        is_done, self._is_done = self._is_done, False
        return self._clock.now() if is_done else await self._reconciliations.next_at()

    async def attempt(self, this: Reconciliation, deadline: float) -> None:
        bind_log_context(this.subscription.log_fields)
        await settle(self, this, self._look_up(this, deadline))

    async def _look_up(self, this: Reconciliation, deadline: float) -> None:
        async with deadline_at(deadline):
            read = await self._sender.posts_in(this.subscription, this.since - CLOCK_SKEW, this.cursor)
        await self._record(this, read)

    async def _record(self, this: Reconciliation, read: Read) -> None:
        subscription, plan = this.subscription, partial(planner_of_post, self._library())
        steps, now = requested_steps(subscription.options), self._clock.now()
        record = partial(self._reconciliations.found, this, read.posts, plan, steps, now, read.cursor)
        found = await (record() if read.cursor else self._ending(this, record))
        if count := len(found.unknown) + len(found.pending):
            log.info("%d posts were found that were not recorded", count)
        self._explain(found.unknown, restored=this.restored)

    def _explain(self, unknown: Sequence[Post], *, restored: bool) -> None:
        """Report posts that this ledger doesn't know: another program made them, or the database is an older copy."""
        since_start = [post for post in unknown if self._started and post.at > self._started]
        if since_start:
            self._token_users.notice(Sign.POST)
        if len(unknown) > len(since_start) and not (restored or self._is_warned):
            self._is_warned = True
            log.warning(OLDER_COPY)

    async def retry(self, this: Reconciliation, error: Retried) -> None:
        if this.attempts >= MOST_ATTEMPTS:
            await self.give_up(this, error)
            return
        at = self._clock.now() + pause_after(error, this.attempts)
        self._trouble.warn(str(error), "looked up again at %s: %s", at.isoformat(timespec="seconds"), error)
        await self._reconciliations.retry(this, at)

    async def give_up(self, this: Reconciliation, error: GivenUp | Retried) -> None:
        """Nobody can tell; what was not sent for certain is sent then."""
        log.warning("not looked up: %s", str(error))
        plan = planner_of_unverified(self._library(), str(error))
        await self._ending(this, partial(self._reconciliations.unreadable, this, plan, self._clock.now()))

    async def _ending(self, this: Reconciliation, record: Callable[[], Awaitable[Recorded]]) -> Recorded:
        async with self._verification.ending(this.subscription):
            recorded = await record()
        self._is_done = True
        return recorded
