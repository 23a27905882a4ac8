"""The pace of requests: Discord allows a token a number each second, and counts them all."""

import asyncio

from aiolimiter import AsyncLimiter

CATCHING_UP = 0.5  # of a turn: a timer wakes a little late, and that must not add up
KEPT_BACK = 0.004  # of the rate: on their way requests come closer together, and Discord counts those that arrive


class RateLimiter:
    """Spreads requests evenly: `await pace.acquire()` returns when the next one may go out.

    After a while without any, so many `turns` may come at once.
    """

    def __init__(self, requests_per_second: float, turns: float = 1 + CATCHING_UP) -> None:
        self.requests_per_second = requests_per_second
        self._limiter = AsyncLimiter(turns, turns / (requests_per_second * (1 - KEPT_BACK)))
        self._queue = 0
        self._most_queued = max(2, requests_per_second / 10)
        self._room = asyncio.Event()
        self._room.set()

    async def acquire(self) -> None:
        self._queued(1)
        try:
            await self._limiter.acquire()
        finally:
            self._queued(-1)

    async def wait_for_capacity(self) -> None:
        """Return when no more requests wait for their turn than leave in a tenth of a second.

        Who begins a request just then need not wait long, and no turn is lost.
        """
        await asyncio.sleep(0)  # who was let in before gets in line first
        await self._room.wait()

    def _queued(self, more: int) -> None:
        self._queue += more
        if self._queue <= self._most_queued:
            self._room.set()
        else:
            self._room.clear()
