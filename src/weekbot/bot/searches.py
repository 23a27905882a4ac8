"""Searches in the database for what a response shows only if it is found in time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from weekbot.runtime.errors import describe
from weekbot.runtime.tasks import cancel_and_wait

Result = TypeVar("Result")
MAX_PENDING = 2  # while so many are pending, the database isn't responding


class Searches(Generic[Result]):
    """A search that takes too long isn't cancelled, because cancelling a database call isn't safe."""

    def __init__(self) -> None:
        self._pending: set[asyncio.Task[Result]] = set()

    async def run(
        self, search: Callable[[], Coroutine[Any, Any, Result]], seconds: float
    ) -> asyncio.Task[Result] | None:
        """Return the search, which may still be pending after the seconds; None if no more searches start."""
        if len(self._pending) >= MAX_PENDING:
            return None
        task = asyncio.create_task(search())
        self._pending.add(task)
        task.add_done_callback(self._on_done)
        await asyncio.wait({task}, timeout=seconds)
        return task

    async def stop(self) -> None:
        """Cancel all pending searches, so that the database can be closed."""
        await cancel_and_wait(*self._pending)

    def _on_done(self, task: asyncio.Task[Result]) -> None:
        self._pending.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved, even if nobody waited for it


def failure(search: asyncio.Task[Any]) -> str | None:
    """Return why the search has no result; None if it has one."""
    if not search.done() or search.cancelled():
        return "the database takes too long"
    error = search.exception()
    return describe(error.__cause__ or error) if error else None
