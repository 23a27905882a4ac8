"""In time or never: a request that was held up for too long must not leave any more, as it may have been repeated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from weekbot.delivery.outcomes import NotSentError
from weekbot.loop import now

_latest: ContextVar[float] = ContextVar("_latest", default=float("inf"))


def from_now(seconds: float) -> float:
    """The instant in so many seconds, on the event loop's clock."""
    return now() + seconds


def is_over(latest: float) -> bool:
    return now() > latest


@asynccontextmanager
async def until(latest: float) -> AsyncIterator[None]:
    """Like `asyncio.timeout_at`; no request that is made within leaves later than that either.

    A process that was frozen hears a time-out only after what it was about to do. Raises NotSentError where it is too
    late already: discord.py would keep the next request to the same place waiting.
    """
    token = _latest.set(latest)
    try:
        still_in_time()
        async with asyncio.timeout_at(latest):
            yield
    finally:
        _latest.reset(token)


def still_in_time() -> None:
    """Raises NotSentError."""
    if is_over(_latest.get()):
        raise NotSentError("this process was held up")
