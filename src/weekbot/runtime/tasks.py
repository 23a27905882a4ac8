"""Helpers that wait for tasks and cancel them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


async def wait_for_first(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Return when one of them has finished, and cancel the others. Raises the finished one's error."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_and_wait(*tasks)
    for task in done:
        task.result()


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks that are running, return when they have ended, and log their errors.

    If `asyncio.run` cancelled a rollback again at its end, aiosqlite could wait for ever for a thread that has ended.
    """
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    for result in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(result, Exception):
            log.error("a task failed while it was cancelled", exc_info=result)
