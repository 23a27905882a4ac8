"""PostgreSQL sessions, and the detection of poolers that give a connection's transactions to several of them.

Locks, notifications and settings belong to a session: over such a pooler, two processes could both become the leader.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from weekbot.db.errors import POOLED, DatabaseUnusableError

MIN_OTHERS, MAX_OTHERS = 2, 6  # transactions that are held open during the check
TIMEOUT_SECONDS = 5.0
NEEDED_CONNECTIONS = 10


class PoolerError(DatabaseUnusableError):
    def __init__(self) -> None:
        super().__init__(f"The database cannot be used: {POOLED}.")


class TooFewConnectionsError(DatabaseUnusableError):
    def __init__(self) -> None:
        super().__init__(
            f"The database gave weekbot no further connection within {TIMEOUT_SECONDS:g} seconds; allow each weekbot "
            f"{NEEDED_CONNECTIONS} in PostgreSQL and in any pooler in front of it (PgBouncer: default_pool_size)."
        )


@dataclass(frozen=True)
class DatabaseSession:
    """A session as one transaction sees it. `started` is by PostgreSQL's clock."""

    pid: int
    setting: str | None
    prepared: bool
    started: datetime


@asynccontextmanager
async def autocommit_session(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a session in which each statement is a transaction, and end it with its locks and settings."""
    async with engine.connect() as plain:
        try:
            yield await plain.execution_options(isolation_level="AUTOCOMMIT")
        finally:
            with suppress(SQLAlchemyError):
                await plain.invalidate()


async def check_sessions_last(engine: AsyncEngine) -> None:
    """Raise PoolerError if a session loses its settings, or if they show in another session.

    In a quiet moment a pooler reuses the same server connection. So other transactions are held open meanwhile: each
    takes a free connection, until PostgreSQL has to open a new one. Raises TooFewConnectionsError if that takes too
    long.
    """
    try:
        async with (
            asyncio.timeout(TIMEOUT_SECONDS) as timeout,
            AsyncExitStack() as others,
            autocommit_session(engine) as own,
        ):
            await _check(own, engine, others)
    except (TimeoutError, SQLAlchemyError):
        if timeout.expired():  # the driver may raise an error when it is cancelled
            raise TooFewConnectionsError from None
        raise


async def _check(own: AsyncConnection, engine: AsyncEngine, others: AsyncExitStack) -> None:
    mark = f"weekbot_{secrets.token_hex(8)}"
    # A setting and a prepared statement stay in the session.
    began: datetime = (await own.execute(_SET, {"mark": mark})).scalar_one()
    await own.execute(text(f"PREPARE {mark} AS SELECT 1"))
    first = await _session(own, mark)
    if first.setting != mark or not first.prepared:
        raise PoolerError
    for number in range(1, MAX_OTHERS + 1):
        other = await _session(await others.enter_async_context(engine.begin()), mark)
        if other.setting == mark or first != await _session(own, mark):
            raise PoolerError
        if number >= MIN_OTHERS and other.started > began:
            return


async def _session(connection: AsyncConnection, mark: str) -> DatabaseSession:
    return DatabaseSession(*(await connection.execute(_SESSION, {"mark": mark})).one())


_SET = text("SELECT clock_timestamp() FROM set_config('weekbot.mark', :mark, false)")
_SESSION = text(
    "SELECT pid, current_setting('weekbot.mark', true),"
    " EXISTS (SELECT FROM pg_prepared_statements WHERE name = :mark), backend_start"
    " FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)
