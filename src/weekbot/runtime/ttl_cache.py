"""What is looked up when somebody asks, but not each time that somebody asks."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from weekbot.runtime.loop import now
from weekbot.runtime.tasks import cancel_and_wait

T = TypeVar("T")


class TtlCache(Generic[T]):
    """What a look found holds for some `seconds` after its end. There is one look at a time, however many ask."""

    def __init__(self, look: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> None:
        self._look = look
        self._seconds = seconds
        self._latest: asyncio.Task[T] | None = None
        self._ended_at = float("-inf")

    async def get(self, patience: float) -> T:
        """Raises what the look raised, and TimeoutError where it takes more seconds than that; it goes on then."""
        latest = self._latest
        if latest is None or (latest.done() and now() - self._ended_at >= self._seconds):
            latest = self._latest = asyncio.create_task(self._look())
            latest.add_done_callback(self._ended)
        await asyncio.wait({latest}, timeout=patience)
        if not latest.done():
            raise TimeoutError
        return latest.result()

    async def stop(self) -> None:
        if self._latest:
            await cancel_and_wait(self._latest)

    def _ended(self, ended: asyncio.Task[T]) -> None:
        self._ended_at = now()
        if not ended.cancelled():
            ended.exception()  # also where nobody waited long enough to be told of it
