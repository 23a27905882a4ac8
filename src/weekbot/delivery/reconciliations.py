"""Before anything more is posted in a channel: what stands there that the ledger, of an earlier time, does not know."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from weekbot.content.library import Library
from weekbot.delivery.deadline import until
from weekbot.delivery.dispatcher import Job
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, RetryableError
from weekbot.delivery.ports import Read, Sender
from weekbot.delivery.posts import LEASE, latest_end
from weekbot.delivery.retry import pause_after
from weekbot.delivery.token_users import Sign, TokenUsers
from weekbot.delivery.verification import Verification
from weekbot.domain.planning import planner_of_post, planner_of_unverified
from weekbot.domain.reconciliations import CLOCK_SKEW, Post, Reconciliation
from weekbot.domain.steps import requested_steps
from weekbot.runtime.clock import Clock
from weekbot.runtime.log import about
from weekbot.runtime.repeated_warnings import CommonTrouble
from weekbot.store.reconciliations import Reconciliations

log = logging.getLogger(__name__)

Recorded = TypeVar("Recorded")
MOST_ATTEMPTS = 150  # a day's; or so many thousand messages
OLDER_COPY = (
    "the database does not know posts from before this start, and learns them now: it is an older copy, or another"
    " program posts with the bot's token. After the next restore run `weekbot db mark-restored` before weekbot starts"
)


class ReconciliationQueue:
    """A source of work, the next slot first; each has as long as an attempt at a post."""

    def __init__(
        self,
        library: Callable[[], Library],
        reconciliations: Reconciliations,
        verification: Verification,
        sender: Sender,
        clock: Clock,
        token_users: TokenUsers,
    ) -> None:
        self._library = library
        self._reconciliations = reconciliations
        self._verification = verification
        self._sender = sender
        self._clock = clock
        self._token_users = token_users
        self._started: datetime | None = None
        self._is_warned = False
        self._done = False
        self._trouble = CommonTrouble(log, "channels could not be looked up and will be again")

    async def claim(self, limit: int) -> Sequence[Job]:
        self._started = self._started or self._clock.now()
        latest = latest_end()
        taken = await self._reconciliations.claim(self._clock.now(), LEASE, limit)
        return [self._look_up(each, latest) for each in taken]

    async def next_at(self) -> datetime | None:
        """At once where posts that waited for a look-up may have become due after the last look for them."""
        done, self._done = self._done, False
        return self._clock.now() if done else await self._reconciliations.next_retry()

    async def _look_up(self, this: Reconciliation, latest: float) -> None:
        about(this.subscription.log_fields)
        try:
            async with until(latest):
                read = await self._sender.posts_in(this.subscription, this.since - CLOCK_SKEW, this.cursor)
        except HistoryUnreadableError as error:
            await self._give_up(this, error)
        except (RetryableError, AmbiguousError) as error:
            await self._retry(this, error)
        else:
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

    async def _retry(self, this: Reconciliation, error: Exception) -> None:
        if this.attempts >= MOST_ATTEMPTS:
            await self._give_up(this, error)
            return
        at = self._clock.now() + pause_after(error, this.attempts)
        self._trouble.warn(str(error), "looked up again at %s: %s", at.isoformat(timespec="seconds"), error)
        await self._reconciliations.retry(this, at)

    async def _give_up(self, this: Reconciliation, error: Exception) -> None:
        """Nobody can tell; what was not sent for certain is sent then."""
        log.warning("not looked up: %s", str(error))
        plan = planner_of_unverified(self._library(), str(error))
        await self._ending(this, partial(self._reconciliations.unreadable, this, plan, self._clock.now()))

    async def _ending(self, this: Reconciliation, record: Callable[[], Awaitable[Recorded]]) -> Recorded:
        async with self._verification.ending(this.subscription):
            recorded = await record()
        self._done = True
        return recorded
