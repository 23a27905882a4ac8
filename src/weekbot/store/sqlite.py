"""SQLite, in a file."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import ClassVar

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

_PATIENCE_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_PRAGMAS = (
    "PRAGMA foreign_keys=ON",
    # A claim that a power cut takes back would be claimed, and posted, again.
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=10000",
)


class Sqlite:
    """In a file."""

    reading: ClassVar[dict[str, object]] = {}
    writing: ClassVar[dict[str, object]] = {"weekbot_begin": "BEGIN IMMEDIATE"}

    def engine(self, url: URL) -> AsyncEngine:
        made = create_async_engine(url.set(drivername="sqlite+aiosqlite"))

        @event.listens_for(made.sync_engine, "connect")
        def configure(connection: object, _: ConnectionPoolEntry) -> None:
            # The driver must not begin transactions by itself: `begin` below does.
            connection.isolation_level = None  # type: ignore[attr-defined]
            cursor = connection.cursor()  # type: ignore[attr-defined]
            for pragma in _PRAGMAS:
                cursor.execute(pragma)
            cursor.close()

        @event.listens_for(made.sync_engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(connection.get_execution_options().get("weekbot_begin", "BEGIN"))

        return made

    def name(self, url: URL) -> str:
        return url.database or ""

    def exists(self, url: URL) -> bool:
        """Opened to be read only: to connect otherwise makes the file."""
        path = Path(self.name(url)).absolute()
        if not path.exists():
            return False
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
        return True

    def prepare(self, url: URL) -> None:
        """Open the file and have it write ahead, which it remembers.

        Not over aiosqlite, whose thread cannot say that it failed once its loop is gone. SQLite does not wait for a
        lock here as it does elsewhere, so a process that starts beside another tries again.
        """
        with closing(sqlite3.connect(self.name(url))) as connection:
            for patience in (*_PATIENCE_SECONDS, None):
                try:
                    connection.execute("PRAGMA journal_mode=WAL")
                    return
                except sqlite3.OperationalError as error:
                    if patience is None or "locked" not in str(error):
                        raise
                    time.sleep(patience)

    async def check(self, _: AsyncEngine) -> None:
        """A file needs nothing that `prepare` doesn't find missing."""

    async def alone(self, _: AsyncConnection) -> None:
        """A transaction that writes is alone already."""
