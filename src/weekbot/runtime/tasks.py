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
    """Cancel the tasks, and return when they have ended and rolled back their transactions.

    If a second cancellation interrupted a rollback, such as that of `asyncio.run` at its end, aiosqlite could wait for
    ever for a thread that has ended.
    """
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class TaskTracker:
    """Counts running jobs, so that a shutdown can wait for them."""

    def __init__(self) -> None:
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    async def run(self, job: Callable[[], Awaitable[object]]) -> None:
        """Run the job, unless `drain` was called."""
        if self._closed:
            return
        self._count += 1
        self._idle.clear()
        try:
            await job()
        finally:
            self._count -= 1
            if not self._count:
                self._idle.set()

    async def drain(self) -> None:
        """Start no more jobs, and wait for the running ones."""
        self._closed = True
        await self._idle.wait()
