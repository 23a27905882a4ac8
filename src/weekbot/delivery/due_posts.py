"""The posts that are due: claims new ones, and retries those that failed."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from weekbot.db.errors import DatabaseUnavailableError, FencedError
from weekbot.delivery.context import DeliveryContext
from weekbot.delivery.outage import BETWEEN_PROBES
from weekbot.delivery.posts import ATTEMPT_SECONDS, LEASE, Poster
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.planning import planner_of_slots
from weekbot.domain.subscriptions import Subscription
from weekbot.store.deliveries import Deliveries
from weekbot.store.subscriptions import Subscriptions

log = logging.getLogger(__name__)

CLAIMED_AT_ONCE = 50  # in one transaction, which takes hardly longer than for one; members' commands come in between
FAILED_CLAIM_PAUSE = timedelta(seconds=50)  # until the next tick
LONGEST_GAP = timedelta(minutes=5)  # between two claims, while this process is the leader
RETRIES_FIRST = 8  # every eighth claim begins with retries, so that no broadcast delays them for long
RETRIES_AT_ONCE = 4  # before new posts


class PostHandler:
    """New posts go first, so that no channel waits behind others' failures."""

    seconds = ATTEMPT_SECONDS

    def __init__(
        self, context: DeliveryContext, subscriptions: Subscriptions, deliveries: Deliveries, poster: Poster
    ) -> None:
        self._context = context
        self._subscriptions = subscriptions
        self._deliveries = deliveries
        self.attempt = poster.attempt
        self._claims = 0
        self._failed_claims: dict[int, datetime] = {}
        self._last_claim = datetime.max.replace(tzinfo=UTC)

    async def claim(self, now: datetime, limit: int) -> Sequence[Delivery]:
        await self._context.verification.begin()
        await self._repair_after_gap(now)
        if self._context.outage.is_active:
            return (await self._new(1) or await self._retries(1)) if self._context.outage.begin_probe() else []
        self._claims += 1
        if self._claims % RETRIES_FIRST == 0 and (retries := await self._retries(min(limit, RETRIES_AT_ONCE))):
            return retries
        return await self._new(limit) or await self._retries(limit)

    async def next_at(self) -> datetime | None:
        """The instant of the next retry; during an outage, that of the next probe."""
        earliest = await self._deliveries.next_at()
        if earliest and self._context.outage.is_active:
            return max(earliest, self._context.now() + BETWEEN_PROBES)
        return earliest

    async def _retries(self, limit: int) -> Sequence[Delivery]:
        return await self._deliveries.claim(self._context.now(), LEASE, limit)

    async def _new(self, limit: int) -> Sequence[Delivery]:
        """Claim due subscriptions until there is something to post; empty if no more are due."""
        while due := await self._due(min(limit, CLAIMED_AT_ONCE)):
            if unverified := [each for each in due if not self._context.verification.is_verified(each)]:
                await self._context.verification.request(unverified)
            claimed = await self._claim([each for each in due if each not in unverified])
            if pending := [each for each in claimed if each.state is State.PENDING]:
                return pending
        return []

    async def _due(self, limit: int) -> Sequence[Subscription]:
        """Due subscriptions; servers whose posts fail go last."""
        now, failing = self._context.now(), self._context.outage.failing_servers
        failed = {id_: at for id_, at in self._failed_claims.items() if timedelta() <= now - at < FAILED_CLAIM_PAUSE}
        self._failed_claims = failed
        due = await self._subscriptions.due(now, limit, failed.keys(), failing)
        return due or (await self._subscriptions.due(now, limit, failed.keys()) if failing else [])

    async def _repair_after_gap(self, now: datetime) -> None:
        """After a start, a term of another leader or a change of the clock, recorded times may be in the future."""
        last, self._last_claim = self._last_claim, now
        if not timedelta() <= now - last < LONGEST_GAP:
            await self._deliveries.repair_future_times(now, self._context.catch_up)

    async def _claim(self, due: Sequence[Subscription]) -> list[Delivery]:
        """Claim them together, or one by one if that fails, so that a channel's failure doesn't affect the others."""
        try:
            return await self._claim_together(due) if due else []
        except (FencedError, DatabaseUnavailableError):
            raise  # no single channel is at fault
        except Exception:
            log.exception("unexpected error in a claim")
        if len(due) == 1:
            self._failed_claims[due[0].id] = self._context.now()
            return []
        return [delivery for subscription in due for delivery in await self._claim([subscription])]

    async def _claim_together(self, due: Sequence[Subscription]) -> list[Delivery]:
        now = self._context.now()
        plan = planner_of_slots(self._context.library(), now, self._context.catch_up)
        claimed = await self._deliveries.claim_due(due, plan, now, LEASE)
        for delivery in claimed:
            if delivery.state is State.MISSED:
                log.warning("missed: %s", delivery.reason, extra=delivery.log_fields)
                self._context.metrics.ended(State.MISSED)
        return claimed
