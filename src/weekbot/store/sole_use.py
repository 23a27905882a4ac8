"""Sole use: one process at a time sends what a database holds, as the budget of requests is the token's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from filelock import FileLock, Timeout

from weekbot.errors import WeekbotError
from weekbot.store.database import Database, DatabaseUnusableError

_LOOK_AGAIN_SECONDS = 0.1


class InUseError(WeekbotError):
    """Another weekbot is running with this database. Stop it first, or set WEEKBOT_DATABASE_URL to another one."""


@asynccontextmanager
async def sole_use(database: Database, patience: timedelta = timedelta()) -> AsyncIterator[None]:
    """Hold the database's file `*.lock`, which the system lets go when the process ends, however it ends.

    Raises InUseError where another process still holds it when the patience is at its end.
    """
    path = f"{database.engine.url.database or ':memory:'}.lock"
    lock = FileLock(path, thread_local=False)
    deadline = asyncio.get_running_loop().time() + patience.total_seconds()
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except Timeout:
            if asyncio.get_running_loop().time() >= deadline:
                raise InUseError from None
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except OSError as error:
            raise DatabaseUnusableError(
                f"{path} cannot be written: {error.strerror}. It must be beside the database."
            ) from error
    try:
        yield
    finally:
        lock.release()
