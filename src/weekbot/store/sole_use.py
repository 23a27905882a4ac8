"""Sole use: one process at a time sends what a database holds, as the budget of requests is the token's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from filelock import AsyncFileLock, Timeout

from weekbot.errors import WeekbotError
from weekbot.store.database import Database, DatabaseUnusableError


class InUseError(WeekbotError):
    """Another weekbot is running with this database. Stop it first, or set WEEKBOT_DATABASE_URL to another one."""


@asynccontextmanager
async def sole_use(database: Database, patience: timedelta = timedelta()) -> AsyncIterator[None]:
    """Hold the database's file `*.lock`, which the system lets go when the process ends, however it ends.

    Raises InUseError where another process still holds it when the patience is at its end.
    """
    path = f"{database.engine.url.database or ':memory:'}.lock"
    # A lock that is only a file would stay behind when the process is killed, and nobody could start again.
    lock = AsyncFileLock(path, timeout=patience.total_seconds(), run_in_executor=False, fallback_to_soft=False)
    try:
        await lock.acquire()
    except Timeout:
        raise InUseError from None
    except (OSError, NotImplementedError) as error:
        raise DatabaseUnusableError(f"{path}, which keeps others out, cannot be used: {error}.") from error
    try:
        yield
    finally:
        await lock.release()
