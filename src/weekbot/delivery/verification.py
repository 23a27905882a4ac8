"""Tracks for which channels the ledger is known to be complete, so that something may be posted there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

from weekbot.delivery.ports import NONCE_KNOWN, Sender
from weekbot.domain.reconciliations import CLOCK_SKEW, LookingBackError
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.clock import Clock
from weekbot.store.reconciliations import Reconciliations

LONGEST_WAIT_SECONDS = 15.0  # of a moderator, until the channel's history is read


class Verification:
    """The ledger may be an unmarked copy whose original was used further, so it may lack posts since its last use.

    Therefore after each start a channel is looked up before its first post, unless nobody has written there since.
    """

    def __init__(self, reconciliations: Reconciliations, sender: Sender, clock: Clock) -> None:
        self._reconciliations = reconciliations
        self._sender = sender
        self._clock = clock
        self._since: datetime | None = None
        self._verified: dict[int, datetime | None] = {}
        self._begun = False
        self._changed = asyncio.Condition()

    async def begin(self) -> None:
        """Find out, before the first claim, since when the ledger may lack posts."""
        if not self._begun:
            self._since = await self._reconciliations.begin(self._clock.now())
            self._begun = True

    def is_verified(self, subscription: Subscription) -> bool:
        since = self._since or (subscription.last_slot or subscription.next_slot).instant
        if subscription.id not in self._verified and self._sender.is_quiet(subscription, since - CLOCK_SKEW):
            self._verified[subscription.id] = None
        return subscription.id in self._verified

    def is_recent(self, subscription: Subscription) -> bool:
        """True if the history was read so recently that Discord still knows the nonces of all later posts."""
        read_at = self._verified.get(subscription.id)
        return read_at is not None and timedelta() <= self._clock.now() - read_at < NONCE_KNOWN

    @asynccontextmanager
    async def completing(self, subscription: Subscription) -> AsyncIterator[None]:
        """Verify the channel after the transaction that ends its look-up; meanwhile, none is requested again."""
        async with self._changed:
            yield
            self._verified[subscription.id] = self._clock.now()
            self._changed.notify_all()

    async def request(self, subscriptions: Iterable[Subscription]) -> None:
        async with self._changed:
            if unverified := [each for each in subscriptions if each.id not in self._verified]:
                await self._reconciliations.request(unverified, self._since, self._clock.now())

    async def wait_for(self, subscription: Subscription, wake: Callable[[], object]) -> None:
        """Return when the channel is verified. Raises LookingBackError if that takes too long."""
        await self.begin()
        if self.is_verified(subscription):
            return
        await self.request([subscription])
        wake()
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS), self._changed:
                await self._changed.wait_for(partial(self.is_verified, subscription))
        except TimeoutError:
            raise LookingBackError from None
