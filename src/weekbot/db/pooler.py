"""Poolers: whether a connection to PostgreSQL keeps its session, to which locks, notifications and settings belong.

A pooler in transaction mode runs each transaction on any free server connection, so two processes could both get the
lock of the process that sends.
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

from weekbot.db.errors import DatabaseUnusableError
from weekbot.db.remedies import POOLED

FEWEST_OTHERS, MOST_OTHERS = 2, 6  # transactions that are held open during the check
PATIENCE_SECONDS = 5.0
NEEDED_CONNECTIONS = 10


class PoolerError(DatabaseUnusableError):
    """A pooler gives each transaction another session."""

    def __init__(self) -> None:
        super().__init__(f"The database cannot be used: {POOLED}.")


class TooFewConnectionsError(DatabaseUnusableError):
    """No other connection could be opened in time."""

    def __init__(self) -> None:
        super().__init__(
            f"The database gave weekbot no further connection within {PATIENCE_SECONDS:g} seconds; allow each weekbot "
            f"{NEEDED_CONNECTIONS} in PostgreSQL and in any pooler in front of it (PgBouncer: default_pool_size)."
        )


@dataclass(frozen=True)
class DatabaseSession:
    """A session as one transaction sees it; `started` is when PostgreSQL opened it, by its own clock."""

    pid: int
    setting: str | None
    prepared: bool
    started: datetime

    def keeps(self, mark: str) -> bool:
        return self.setting == mark and self.prepared


async def check_sessions_last(engine: AsyncEngine) -> None:
    """Raise PoolerError if a transaction's settings are missing in its session later, or visible in other sessions.

    In a quiet moment a pooler reuses the same server connection. So other transactions are held open meanwhile: each
    takes a free connection, until PostgreSQL has to open a new one.

    Raises TooFewConnectionsError if that takes too long.
    """
    try:
        async with (
            asyncio.timeout(PATIENCE_SECONDS) as patience,
            AsyncExitStack() as others,
            _own_session(engine) as own,
        ):
            await _try(own, engine, others)
    except (TimeoutError, SQLAlchemyError):
        if patience.expired():  # the driver may raise an error when it is cancelled
            raise TooFewConnectionsError from None
        raise


async def _try(own: AsyncConnection, engine: AsyncEngine, others: AsyncExitStack) -> None:
    mark = f"weekbot_{secrets.token_hex(8)}"
    began = await _leave(own, mark)
    first = await _look(own, mark)
    for number in range(1, MOST_OTHERS + 1):
        other = await _look(await others.enter_async_context(engine.begin()), mark)
        if other.setting == mark or not first.keeps(mark) or first != await _look(own, mark):
            raise PoolerError
        if number >= FEWEST_OTHERS and other.started > began:
            return


async def _leave(own: AsyncConnection, mark: str) -> datetime:
    """Leave a setting and a prepared statement in the session. Returns the time."""
    began: datetime = (await own.execute(_SET, {"mark": mark})).scalar_one()
    await own.execute(text(f"PREPARE {mark} AS SELECT 1"))
    return began


async def _look(connection: AsyncConnection, mark: str) -> DatabaseSession:
    found = (await connection.execute(_LOOK, {"mark": mark})).one()
    return DatabaseSession(found.pid, found.setting, found.prepared, found.started)


_SET = text("SELECT clock_timestamp() FROM set_config('weekbot.mark', :mark, false)")
_LOOK = text(
    "SELECT pid, current_setting('weekbot.mark', true) AS setting, backend_start AS started,"
    " EXISTS (SELECT FROM pg_prepared_statements WHERE name = :mark) AS prepared"
    " FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)


@asynccontextmanager
async def _own_session(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a session in which each statement is a transaction; the session ends with the block."""
    async with engine.connect() as plain:
        try:
            yield await plain.execution_options(isolation_level="AUTOCOMMIT")
        finally:
            with suppress(SQLAlchemyError):
                await plain.invalidate()
