"""Retries refused posts in the same week, after a change in their server."""

import logging
from collections.abc import Iterable
from datetime import timedelta

from weekbot.delivery.errors import RetryableError
from weekbot.delivery.preflight import Inspect
from weekbot.domain.deliveries import Delivery
from weekbot.runtime.clock import Clock
from weekbot.store.deliveries import Deliveries

log = logging.getLogger(__name__)

BATCH = 500  # servers


class Reopening:
    """Collects the servers that changed a permission, channel, thread or role, until the next `run`."""

    def __init__(self, deliveries: Deliveries, inspect: Inspect, clock: Clock, catch_up: timedelta) -> None:
        self._deliveries = deliveries
        self._inspect = inspect
        self._clock = clock
        self._catch_up = catch_up
        self._changed: set[int] = set()

    def changed(self, guild_id: int) -> None:
        self._changed.add(guild_id)

    async def run(self) -> bool:
        """Reopen recent refused posts that should succeed now. Return whether there were any."""
        reopened = False
        while self._changed:
            some = {self._changed.pop() for _ in range(min(BATCH, len(self._changed)))}
            try:
                reopened |= await self._reopen(some)
            except Exception:
                self._changed |= some  # the next run tries again
                raise
        return reopened

    async def _reopen(self, guild_ids: Iterable[int]) -> bool:
        now = self._clock.now()
        refused = await self._deliveries.refused(guild_ids, now - self._catch_up)
        healed = [delivery for delivery in refused if await self._would_succeed(delivery)]
        reopened = [delivery for delivery in healed if await self._deliveries.reopen(delivery, now)]
        for delivery in reopened:
            log.info("tried again after a change in the server", extra=delivery.log_fields)
        return bool(reopened)

    async def _would_succeed(self, delivery: Delivery) -> bool:
        try:
            return await self._inspect(delivery.subscription) is None
        except RetryableError:
            return False
