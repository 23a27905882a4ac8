"""The database: its connections, transactions and migrations."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from weekbot.errors import WeekbotError

_MIGRATIONS = Path(__file__).with_name("migrations")
_INSTEAD = "set WEEKBOT_DATABASE_URL to sqlite:///weekbot.db"
_PATIENCE_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_PRAGMAS = (
    "PRAGMA foreign_keys=ON",
    # A claim that a power cut takes back would be claimed, and posted, again.
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=10000",
)


class DatabaseUnusableError(WeekbotError):
    """The database cannot be opened, or comes from a newer version."""


class Database:
    """Opens transactions. Close it when done.

    `url` is `sqlite:///path`; raises DatabaseUnusableError for anything else.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(_sqlite_url(url))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view; several at a time."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that holds the write lock from its start: what it read cannot change before it writes."""
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(weekbot_begin="BEGIN IMMEDIATE")
            async with connection.begin():
                yield connection

    async def upgrade(self) -> None:
        """Bring the schema up to date.

        Raises DatabaseUnusableError where the file cannot be opened, is no database, or is from a newer version.
        """
        path = self.engine.url.database or ":memory:"
        try:
            await asyncio.to_thread(_prepare, path)
            async with self.write() as connection:
                await connection.run_sync(_upgrade)
        except (sqlite3.Error, DatabaseError) as error:
            reason = error.orig if isinstance(error, DatabaseError) else error
            raise DatabaseUnusableError(
                f"The database {path} cannot be used: {reason}. Check WEEKBOT_DATABASE_URL."
            ) from error

    async def close(self) -> None:
        await self.engine.dispose()


def _sqlite_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUnusableError(f"WEEKBOT_DATABASE_URL is no database URL; {_INSTEAD}") from None
    if parsed.get_backend_name() != "sqlite" or parsed.host or parsed.query:
        raise DatabaseUnusableError(f"weekbot keeps its data in SQLite; {_INSTEAD}")
    return parsed.set(drivername="sqlite+aiosqlite")


def _prepare(path: str) -> None:
    """Open the file and have it write ahead, which it remembers.

    Not over aiosqlite, whose thread cannot say that it failed once its loop is gone. SQLite does not wait for a lock
    here as it does elsewhere, so a process that starts beside another tries again.
    """
    with closing(sqlite3.connect(path)) as connection:
        for patience in (*_PATIENCE_SECONDS, None):
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if patience is None or "locked" not in str(error):
                    raise
                time.sleep(patience)


def _engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(url)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: object, _: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions by itself: `begin` below does.
        connection.isolation_level = None  # type: ignore[attr-defined]
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("weekbot_begin", "BEGIN"))

    return engine


def migration_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    config = migration_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise DatabaseUnusableError(
            f"The database is from a newer weekbot (revision {current}); update weekbot, or use another database."
        )
    command.upgrade(config, "head")
