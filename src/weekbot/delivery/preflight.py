"""The preflight: a look, a day ahead and an hour ahead, whether a post will succeed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
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
LOOKS = (PREFLIGHT_LEAD, timedelta(hours=1))  # before the slot; what broke since the first is told at the last
LOOK_AGAIN = timedelta(minutes=10)  # after an outage of the server

Inspect = Callable[[Subscription], Awaitable[str | None]]
"""What would keep the next post from being as it should, None where nothing would.

Raises RetryableError where that cannot be known now.
"""


class Preflight:
    """Of the servers that this process sees."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        notices: Notices,
        inspect: Inspect,
        clock: Clock,
        shards: Callable[[], Shards] = lambda: ALL,
    ) -> None:
        self._subscriptions = subscriptions
        self._notices = notices
        self._inspect = inspect
        self._clock = clock
        self._shards = shards

    async def run(self) -> bool:
        """Look at all subscriptions whose time has come; whether there were any."""
        now, looked = self._clock.now(), False
        while near := await self._subscriptions.to_check(now, BATCH, self._shards()):
            results = await asyncio.gather(*(self._check(subscription, now) for subscription in near))
            await self._notices.checked(results, now)
            looked = True
        return looked

    async def _check(self, subscription: Subscription, now: datetime) -> Checked:
        if subscription.guild_left:
            return Checked(subscription, subscription.warning, None)
        try:
            warning = await self._inspect(subscription)
        except RetryableError:
            return Checked(subscription, subscription.warning, now + LOOK_AGAIN)
        except Exception:
            log.exception("unexpected error in a preflight", extra=subscription.log_fields)
            return Checked(subscription, subscription.warning, now + LOOK_AGAIN)
        return Checked(subscription, warning, next_look(subscription.next_slot.instant, now))


def next_look(slot: datetime, now: datetime) -> datetime | None:
    """When to look once more before the slot; None where there has been the last look."""
    return next((slot - ahead for ahead in LOOKS if now < slot - ahead), None)
