"""Helpers that wait for tasks, cancel them, and track them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


async def wait_for_first(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Return when one of them has finished, and cancel the others."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks, and return when they have ended.

    If `asyncio.run` cancelled a rollback again at its end, aiosqlite could wait for ever for a thread that has ended.
    """
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class TaskTracker:
    """Counts running jobs, so that a shutdown can wait for them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Future[None]] = set()
        self._closed = False

    async def run(self, job: Callable[[], Awaitable[object]]) -> None:
        if self._closed:
            return
        ended = asyncio.get_running_loop().create_future()
        self._running.add(ended)
        try:
            await job()
        finally:
            self._running.discard(ended)
            ended.set_result(None)

    async def drain(self) -> None:
        """Start no more jobs, and wait for the running ones."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)
