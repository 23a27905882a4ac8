"""Waiting for things to happen or to end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


async def wait_for_first(*events: Coroutine[Any, Any, object]) -> None:
    """Return when one of them has, and cancel the others."""
    tasks = [asyncio.create_task(event) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel them, and return when they have ended.

    What a task is at in the database is undone meanwhile. Should a second cancellation come in between, such as that
    of `asyncio.run` at its end, aiosqlite may wait for ever for a thread that has ended.
    """
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class TaskTracker:
    """Keeps account of jobs that run, so that their end can be waited for."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()
        self._closed = False

    async def run(self, job: Callable[[], Awaitable[object]]) -> None:
        if self._closed:
            return
        self._count += 1
        self._none.clear()
        try:
            await job()
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def drain(self) -> None:
        """Begin no more, and return when those that run have ended."""
        self._closed = True
        await self._none.wait()
