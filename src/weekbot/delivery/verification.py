"""Which channels are as the ledger says, so that something may be posted there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from weekbot.delivery.ports import NONCE_KNOWN, Sender
from weekbot.domain.reconciliations import CLOCK_SKEW, LookingBackError
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.clock import Clock
from weekbot.store.reconciliations import Reconciliations

LONGEST_WAIT_SECONDS = 15.0  # of a moderator, until the channel's history is read


class Verification:
    """A ledger may be a copy that does not say so, whose original went on: since it was last alive it knows nothing.

    So after each start a channel is looked up before its first post, unless nobody has written anything there since.
    """

    def __init__(self, reconciliations: Reconciliations, sender: Sender, clock: Clock) -> None:
        self._reconciliations = reconciliations
        self._sender = sender
        self._clock = clock
        self._since: datetime | None = None
        self._verified: dict[int, datetime | None] = {}
        self._news = asyncio.Event()
        self._begun = False
        self._changing = asyncio.Lock()

    async def begin(self) -> None:
        """Find out, before the first claim, since when the ledger may not know what was posted."""
        if not self._begun:
            self._since = await self._reconciliations.begin(self._clock.now())
            self._begun = True

    def is_done(self, subscription: Subscription) -> bool:
        if subscription.id not in self._verified and self._is_quiet(subscription):
            self._verified[subscription.id] = None
        return subscription.id in self._verified

    def is_fresh(self, subscription: Subscription) -> bool:
        """Whether the history was read so recently that Discord still knows the nonces of all later posts."""
        read_at = self._verified.get(subscription.id)
        return read_at is not None and timedelta() <= self._clock.now() - read_at < NONCE_KNOWN

    @asynccontextmanager
    async def ending(self, subscription: Subscription) -> AsyncIterator[None]:
        """Surround the transaction that ends a channel's look-up; if it succeeds, the channel is verified.

        `want` waits meanwhile; otherwise it would request another look-up of the same channel.
        """
        async with self._changing:
            yield
            self._verified[subscription.id] = self._clock.now()
        self._news.set()
        self._news = asyncio.Event()

    async def want(self, unsure: Iterable[Subscription]) -> None:
        """Have the reconciler read the histories of those channels that aren't verified yet."""
        async with self._changing:
            if unverified := [each for each in unsure if each.id not in self._verified]:
                await self._reconciliations.want(unverified, self._since, self._clock.now())

    async def wait_for(self, subscription: Subscription, wake: Callable[[], object]) -> None:
        """Return when the channel is as the ledger says. Raises LookingBackError if that takes too long."""
        await self.begin()
        if self.is_done(subscription):
            return
        await self.want([subscription])
        wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                while not self.is_done(subscription):
                    await self._news.wait()
                return
        raise LookingBackError

    def _is_quiet(self, subscription: Subscription) -> bool:
        since = self._since or (subscription.last_slot or subscription.next_slot).instant
        return self._sender.is_quiet(subscription, since - CLOCK_SKEW)
