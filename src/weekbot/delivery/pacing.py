"""The pace of requests: Discord allows a token a number each second, and counts them all."""

from aiolimiter import AsyncLimiter


class Pace:
    """Spreads requests evenly: `await pace.turn()` returns when the next one may go out."""

    def __init__(self, requests_per_second: float) -> None:
        self._limiter = AsyncLimiter(1, 1 / requests_per_second)

    async def turn(self) -> None:
        await self._limiter.acquire()
