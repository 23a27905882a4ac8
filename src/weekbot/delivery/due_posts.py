"""The posts that are due: claims and attempts new ones, and retries those that failed."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from weekbot.db.errors import DatabaseUnavailableError, FencedError
from weekbot.delivery.context import Context, Safeguards
from weekbot.delivery.outage import BETWEEN_PROBES
from weekbot.delivery.posts import ATTEMPT_SECONDS, LEASE, Poster
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.planning import planner_of_slots
from weekbot.domain.subscriptions import Subscription
from weekbot.store.deliveries import Deliveries
from weekbot.store.subscriptions import Subscriptions

log = logging.getLogger(__name__)

CLAIMED_AT_ONCE = 50  # in one transaction: hardly longer than one alone, and members' commands come between two
REST = timedelta(seconds=50)  # of a channel whose claim failed: until the next tick
LONGEST_GAP = timedelta(minutes=5)  # between two looks, while this process leads
RETRIES_FIRST = 8  # every eighth look for work begins with retries, so that no broadcast delays them for long
RETRIES_AT_ONCE = 4  # before new posts


class PostHandler:
    """New posts go first, so that no channel waits behind others' failures."""

    seconds = ATTEMPT_SECONDS

    def __init__(
        self,
        context: Context,
        subscriptions: Subscriptions,
        deliveries: Deliveries,
        poster: Poster,
        safeguards: Safeguards,
    ) -> None:
        self._library = context.library
        self._clock = context.clock
        self._catch_up = context.catch_up
        self._subscriptions = subscriptions
        self._deliveries = deliveries
        self._verification = safeguards.verification
        self._outage = safeguards.outage
        self._metrics = safeguards.metrics
        self.attempt = poster.attempt
        self._looks = 0
        self._failed: dict[int, datetime] = {}
        self._seen = datetime.max.replace(tzinfo=UTC)

    async def claim(self, now: datetime, limit: int) -> Sequence[Delivery]:
        await self._verification.begin()
        await self._look_at_the_clock(now)
        if self._outage.lasts:
            return (await self._new(1) or await self._retries(1)) if self._outage.probe() else []
        self._looks += 1
        if self._looks % RETRIES_FIRST == 0 and (retries := await self._retries(min(limit, RETRIES_AT_ONCE))):
            return retries
        return await self._new(limit) or await self._retries(limit)

    async def next_at(self) -> datetime | None:
        """The time of the next retry; during an outage, that of the next probe."""
        earliest = await self._deliveries.next_at()
        if earliest and self._outage.lasts:
            return max(earliest, self._clock.now() + BETWEEN_PROBES)
        return earliest

    async def _retries(self, limit: int) -> Sequence[Delivery]:
        return await self._deliveries.claim(self._clock.now(), LEASE, limit)

    async def _new(self, limit: int) -> Sequence[Delivery]:
        """Claim what is due until there is something to post; empty if nothing more is due."""
        while due := await self._due(min(limit, CLAIMED_AT_ONCE)):
            unsure = [each for each in due if not self._verification.is_done(each)]
            if unsure:
                await self._verification.want(unsure)
            claimed = await self._claim([each for each in due if each not in unsure])
            if pending := [each for each in claimed if each.state is State.PENDING]:
                return pending
        return []

    async def _due(self, limit: int) -> Sequence[Subscription]:
        """Subscriptions that are due; servers whose posts fail go last."""
        now, resting, failing = self._clock.now(), self._resting(), self._outage.servers
        due = await self._subscriptions.due(now, limit, resting, failing)
        return due or (await self._subscriptions.due(now, limit, resting) if failing else [])

    async def _look_at_the_clock(self, now: datetime) -> None:
        """At start, when another process has led, and if the clock was put back, much may seem to be still to come."""
        seen, self._seen = self._seen, now
        if not timedelta() <= now - seen < LONGEST_GAP:
            await self._deliveries.put_back(now, self._catch_up)

    def _resting(self) -> set[int]:
        """The subscriptions whose claim failed a moment ago."""
        now = self._clock.now()
        self._failed = {id_: at for id_, at in self._failed.items() if timedelta() <= now - at < REST}
        return set(self._failed)

    async def _claim(self, due: Sequence[Subscription]) -> list[Delivery]:
        """The deliveries; should one channel's claim fail, it does not hold up the others'."""
        try:
            return await self._claim_together(due) if due else []
        except (FencedError, DatabaseUnavailableError):
            raise  # it is no single channel's
        except Exception:
            log.exception("unexpected error in a claim")
        if len(due) == 1:
            self._failed[due[0].id] = self._clock.now()
            return []
        return [delivery for subscription in due for delivery in await self._claim([subscription])]

    async def _claim_together(self, due: Sequence[Subscription]) -> list[Delivery]:
        now = self._clock.now()
        plan = planner_of_slots(self._library(), now, self._catch_up)
        claimed = await self._deliveries.claim_due(due, plan, now, LEASE)
        for delivery in claimed:
            if delivery.state is State.MISSED:
                log.warning("missed: %s", delivery.reason, extra=delivery.log_fields)
                self._metrics.ended(State.MISSED)
        return claimed
