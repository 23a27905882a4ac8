"""A cache for one value, with a time to live."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from weekbot.runtime.loop import now
from weekbot.runtime.tasks import cancel_and_wait

T = TypeVar("T")


class TtlCache(Generic[T]):
    """Caches the result of `fetch`, or its error, for `ttl` seconds; concurrent callers share one call.

    async-lru is no replacement: it caches no errors, and cancels a call when its only caller times out.
    """

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, T]], ttl: float) -> None:
        self._fetch = fetch
        self._ttl = ttl
        self._latest: asyncio.Task[T] | None = None
        self._ended_at = float("-inf")

    async def get(self, timeout: float) -> T:  # noqa: ASYNC109 - the call goes on after it
        """Raises what `fetch` raised, and TimeoutError if it takes longer than `timeout` seconds; it goes on then."""
        latest = self._latest
        if latest is None or (latest.done() and now() - self._ended_at >= self._ttl):
            latest = self._latest = asyncio.create_task(self._fetch())
            latest.add_done_callback(self._on_end)
        await asyncio.wait({latest}, timeout=timeout)
        if not latest.done():
            raise TimeoutError
        return latest.result()

    async def stop(self) -> None:
        if self._latest:
            await cancel_and_wait(self._latest)

    def _on_end(self, task: asyncio.Task[T]) -> None:
        self._ended_at = now()
        if not task.cancelled():
            task.exception()  # so that asyncio reports no unretrieved error if all callers timed out
