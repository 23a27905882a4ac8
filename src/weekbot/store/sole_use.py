"""Sole use: one process at a time sends what a database holds, as the budget of requests is the token's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from filelock import AsyncFileLock, Timeout
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.errors import WeekbotError
from weekbot.store.database import Database
from weekbot.store.engine import DatabaseUnusableError

SENDING = 0x7765656B0002
"""PostgreSQL's advisory lock of the process that sends."""
LOOK_AGAIN_SECONDS = 0.2
LOOK_AT_CONNECTION_SECONDS, LONGEST_SILENCE_SECONDS = 1.0, 5.0


class InUseError(WeekbotError):
    """Another weekbot is running with this database. Stop it first, or set WEEKBOT_DATABASE_URL to another one."""


class SoleUseLostError(WeekbotError):
    """The database cut the connection, and another weekbot may be sending by now. This one ended; start it again."""


@asynccontextmanager
async def sole_use(database: Database, patience: timedelta = timedelta()) -> AsyncIterator[None]:
    """Hold what only one process can hold, and the system lets go when it ends, however it ends.

    Raises InUseError where another process still holds it when the patience is at its end, and SoleUseLostError, in
    whatever is being done under it, where it is lost.
    """
    held = _file if database.is_sqlite else _advisory_lock
    async with held(database, patience):
        yield


@asynccontextmanager
async def _file(database: Database, patience: timedelta) -> AsyncIterator[None]:
    """The database's file `*.lock`."""
    path = f"{database.name}.lock"
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


@asynccontextmanager
async def _advisory_lock(database: Database, patience: timedelta) -> AsyncIterator[None]:
    """A lock of a session of its own, which PostgreSQL ends with the connection."""
    async with database.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        try:
            async with asyncio.timeout(max(patience.total_seconds(), LOOK_AGAIN_SECONDS)):
                while not await _locked(connection):  # noqa: ASYNC110 - another process lets it go
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise InUseError from None
        try:
            async with _watched(connection):
                yield
        finally:
            with suppress(SQLAlchemyError):  # the session was cut, and the lock went with it
                await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": SENDING})


@asynccontextmanager
async def _watched(connection: AsyncConnection) -> AsyncIterator[None]:
    """Cancel what is done within as soon as the connection is gone, as a time-out would."""
    task, watching = asyncio.current_task(), asyncio.create_task(_gone(connection))
    watching.add_done_callback(lambda ended: None if ended.cancelled() or task is None else task.cancel())
    try:
        yield
    except asyncio.CancelledError:
        if not watching.done() or task is None or task.uncancel() > 0:
            raise
        raise SoleUseLostError from None
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)  # it uses the connection


async def _gone(connection: AsyncConnection) -> None:
    """Return when the connection no longer answers."""
    with suppress(DBAPIError, TimeoutError):
        while True:
            await asyncio.sleep(LOOK_AT_CONNECTION_SECONDS)
            async with asyncio.timeout(LONGEST_SILENCE_SECONDS):
                await connection.scalar(text("SELECT 1"))


async def _locked(connection: AsyncConnection) -> bool:
    return bool(await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": SENDING}))
