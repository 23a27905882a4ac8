"""The posts that are due: what is due is claimed, what is claimed is attempted."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from weekbot.clock import Clock
from weekbot.content.library import Library
from weekbot.delivery.dispatch import Work
from weekbot.delivery.plan import planner_of_slots
from weekbot.delivery.ports import Account
from weekbot.delivery.poster import LEASE, Poster, latest_end
from weekbot.store.away import DatabaseAwayError
from weekbot.store.deliveries import Deliveries
from weekbot.store.delivery import State
from weekbot.store.fence import FencedError
from weekbot.store.reconciliations import Reconciliations
from weekbot.store.subscriptions import Subscription, Subscriptions

log = logging.getLogger(__name__)

CLAIMED_AT_ONCE = 50  # in one transaction: hardly longer than one alone, and members' commands come between two
REST = timedelta(seconds=50)  # of a channel whose claim failed: until the next tick


class Posts:
    """A source of work: what was claimed before comes first, so that a retry never waits behind a broadcast."""

    def __init__(
        self,
        library: Callable[[], Library],
        subscriptions: Subscriptions,
        deliveries: Deliveries,
        reconciliations: Reconciliations,
        poster: Poster,
        clock: Clock,
        catch_up: timedelta,
        account: Account,
    ) -> None:
        self._library = library
        self._subscriptions = subscriptions
        self._deliveries = deliveries
        self._reconciliations = reconciliations
        self._poster = poster
        self._clock = clock
        self._catch_up = catch_up
        self._account = account
        self._begun = False
        self._failed: dict[int, datetime] = {}
        self._seen = datetime.max.replace(tzinfo=UTC)

    async def take(self, limit: int) -> Sequence[Work]:
        await self._begin()
        await self._look_at_the_clock()
        latest = latest_end()
        taken = await self._deliveries.take(self._clock.now(), LEASE, limit)
        if not taken and await self._claim_due():
            latest = latest_end()
            taken = await self._deliveries.take(self._clock.now(), LEASE, limit)
        return [self._poster.attempt(delivery, latest) for delivery in taken]

    async def next_at(self) -> datetime | None:
        return await self._deliveries.next_retry()

    async def _begin(self) -> None:
        """Before the first claim."""
        if not self._begun:
            await self._reconciliations.begin(self._clock.now())
            self._begun = True

    async def _look_at_the_clock(self) -> None:
        """At start, and where the clock was put back, attempts may seem to be still to come."""
        seen, self._seen = self._seen, self._clock.now()
        if self._seen < seen:
            await self._deliveries.put_back(self._seen)

    async def _claim_due(self) -> bool:
        """Claim until there is something to post; False where nothing more is due."""
        while due := await self._subscriptions.due(self._clock.now(), CLAIMED_AT_ONCE, self._resting()):
            if any(state is State.PENDING for state in await self._claim(due)):
                return True
        return False

    def _resting(self) -> set[int]:
        """The subscriptions whose claim failed a moment ago."""
        now = self._clock.now()
        self._failed = {id_: at for id_, at in self._failed.items() if timedelta() <= now - at < REST}
        return set(self._failed)

    async def _claim(self, due: Sequence[Subscription]) -> list[State]:
        """What the deliveries begin as; should one channel's claim fail, it does not hold up the others'."""
        try:
            return await self._claim_together(due)
        except (FencedError, DatabaseAwayError):
            raise  # it is no single channel's
        except Exception:
            log.exception("unexpected error in a claim")
        if len(due) == 1:
            self._failed[due[0].id] = self._clock.now()
            return []
        return [state for subscription in due for state in await self._claim([subscription])]

    async def _claim_together(self, due: Sequence[Subscription]) -> list[State]:
        now = self._clock.now()
        plan = planner_of_slots(self._library(), now, self._catch_up)
        claimed = await self._deliveries.claim(due, plan, now)
        for delivery in claimed:
            if delivery.state is State.MISSED:
                log.warning("missed: %s", delivery.reason, extra=delivery.ids)
                self._account.ended(State.MISSED)
        return [delivery.state for delivery in claimed]
