"""Client-side rate limiting: Discord allows a token a number of requests each second, whatever they are for."""

import asyncio

from aiolimiter import AsyncLimiter

CATCH_UP = 0.5  # of a request: timers wake up a little late, and the delays must not add up
HEADROOM = 0.004  # of the rate: requests may arrive closer together than they leave


class RateLimiter:
    """Spreads requests evenly. After a pause, `burst` requests may leave at once."""

    def __init__(self, requests_per_second: float, burst: float = 1 + CATCH_UP) -> None:
        self.requests_per_second = requests_per_second
        self._limiter = AsyncLimiter(burst, burst / (requests_per_second * (1 - HEADROOM)))
        self._waiting = 0
        self._max_waiting = max(2, requests_per_second / 10)
        self._has_capacity = asyncio.Event()
        self._has_capacity.set()

    async def acquire(self) -> None:
        """Wait until the next request may leave."""
        self._add_waiting(1)
        try:
            await self._limiter.acquire()
        finally:
            self._add_waiting(-1)

    async def wait_for_capacity(self) -> None:
        """Return when a new request would wait for a tenth of a second at most, so that the rate is fully used."""
        await asyncio.sleep(0)  # the caller before this one enqueues its request first
        await self._has_capacity.wait()

    def _add_waiting(self, change: int) -> None:
        self._waiting += change
        if self._waiting <= self._max_waiting:
            self._has_capacity.set()
        else:
            self._has_capacity.clear()
