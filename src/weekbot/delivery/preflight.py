"""The preflight checks, a day and an hour before a slot, whether its post will succeed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from weekbot.delivery.errors import RetryableError
from weekbot.domain.notices import Checked
from weekbot.domain.shards import ALL, Shards
from weekbot.domain.subscriptions import PREFLIGHT_LEAD, Subscription
from weekbot.runtime.clock import Clock
from weekbot.store.notices import Notices
from weekbot.store.subscriptions import Subscriptions

log = logging.getLogger(__name__)

BATCH = 200
CHECKS = (PREFLIGHT_LEAD, timedelta(hours=1))  # before the slot
RETRY_AFTER = timedelta(minutes=10)  # during an outage of the server

Inspect = Callable[[Subscription], Awaitable[str | None]]
"""Returns the problem that the next post would have, if any. Raises RetryableError if that is unknown now."""


@dataclass(frozen=True)
class Preflight:
    """Checks the subscriptions of the servers that this process sees."""

    subscriptions: Subscriptions
    notices: Notices
    inspect: Inspect
    clock: Clock
    shards: Callable[[], Shards] = lambda: ALL

    async def run(self) -> bool:
        now, checked = self.clock.now(), False
        while due := await self.subscriptions.due_for_check(now, BATCH, self.shards()):
            results = await asyncio.gather(*(self._check(subscription, now) for subscription in due))
            await self.notices.record_checks(results, now)
            checked = True
        return checked

    async def _check(self, subscription: Subscription, now: datetime) -> Checked:
        if subscription.guild_left:
            return Checked(subscription, subscription.warning, None)
        try:
            warning = await self.inspect(subscription)
        except Exception as error:
            if not isinstance(error, RetryableError):
                log.exception("unexpected error in a preflight", extra=subscription.log_fields)
            return Checked(subscription, subscription.warning, now + RETRY_AFTER)
        return Checked(subscription, warning, next_check(subscription.next_slot.instant, now))


def next_check(slot: datetime, now: datetime) -> datetime | None:
    return next((slot - ahead for ahead in CHECKS if now < slot - ahead), None)
