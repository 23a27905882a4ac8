"""The SQLite backend."""

import asyncio
import os
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from weekbot.db.errors import DatabaseUnusableError

_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_PRAGMAS = (
    "PRAGMA foreign_keys=ON",
    # A claim that a power cut takes back would be claimed, and posted, again.
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=10000",
)
_OWNER_ONLY = 0o600
_NO_SHARED_MEMORY = ("SQLITE_BUSY", "SQLITE_PROTOCOL", "SQLITE_IOERR_SHM", "SQLITE_IOERR_LOCK")
"""SQLite's errors for an unused file on a disk where processes can't share memory or locks."""


class Sqlite:
    reading: ClassVar[dict[str, object]] = {}
    writing: ClassVar[dict[str, object]] = {"weekbot_begin": "BEGIN IMMEDIATE"}

    def engine(self, url: URL) -> AsyncEngine:
        # Hidden parameters keep what members typed out of logged errors.
        made = create_async_engine(url.set(drivername="sqlite+aiosqlite"), hide_parameters=True)

        @event.listens_for(made.sync_engine, "connect")
        def configure(connection: Any, _: ConnectionPoolEntry) -> None:
            connection.isolation_level = None  # the driver must not begin transactions by itself: `begin` below does
            with closing(connection.cursor()) as cursor:
                for pragma in _PRAGMAS:
                    cursor.execute(pragma)

        @event.listens_for(made.sync_engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(connection.get_execution_options().get("weekbot_begin", "BEGIN"))

        return made

    def name(self, url: URL) -> str:
        return url.database or ""

    def exists(self, url: URL) -> bool:
        """Open the file read-only, because connecting otherwise creates it."""
        path = Path(self.name(url)).absolute()
        if not path.exists():
            return False
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
        return True

    def prepare(self, url: URL) -> None:
        """Create the file, and switch it to write-ahead logging permanently.

        Doesn't use aiosqlite, whose thread can't report an error once its loop is gone. SQLite's busy timeout doesn't
        apply here, so a process that starts beside another retries.
        """
        _restrict_access(Path(self.name(url)))
        with closing(sqlite3.connect(self.name(url))) as connection:
            for pause in (*_RETRY_SECONDS, None):
                try:
                    _write_ahead(connection, self.name(url))
                    return
                except sqlite3.OperationalError as error:
                    if pause is None or "locked" not in str(error):
                        raise
                    time.sleep(pause)

    def checkpoint(self, url: URL) -> None:
        """Move commits from the log into the file, unless a reader needs the log.

        SQLite itself does so after a thousand pages, which take a small bot weeks. Errors are ignored, because a
        problem with the disk shows at the next write.
        """
        with suppress(sqlite3.Error), closing(sqlite3.connect(self.name(url))) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    async def check(self, engine: AsyncEngine) -> None:
        await asyncio.to_thread(_check_folder, self.name(engine.url))

    async def lock_upgrades(self, _: AsyncConnection) -> None: ...  # a transaction that writes is alone already


def _restrict_access(database: Path) -> None:
    """Create the file for its owner only; SQLite gives its log the same mode.

    A file that everybody can read, as earlier versions created it, is restricted to its owner. Other modes stay.
    """
    with suppress(OSError):
        # Only if it doesn't exist: closing a file that SQLite also has open in this process would release its locks.
        os.close(os.open(database, os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
    for file in (database, *(database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-shm"))):
        with suppress(OSError):
            if file.stat().st_mode & stat.S_IRWXO:
                file.chmod(_OWNER_ONLY)


def _check_folder(database: str) -> None:
    """Try write-ahead logging with a temporary file in the same folder, so that the database isn't changed.

    Other errors, such as a full disk, are ignored here and show when the database is used.
    """
    with (
        suppress(OSError, sqlite3.Error),
        TemporaryDirectory(prefix=".weekbot-", dir=Path(database).absolute().parent) as folder,
        closing(sqlite3.connect(str(Path(folder) / "tried.db"), timeout=0)) as connection,
    ):
        try:
            _write_ahead(connection, database)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "").startswith(_NO_SHARED_MEMORY):
                raise _no_write_ahead(database) from error


def _write_ahead(connection: sqlite3.Connection, name: str) -> None:
    """Switch to write-ahead logging. Instead of failing, SQLite returns the old mode."""
    [(mode,)] = connection.execute("PRAGMA journal_mode=WAL")
    if mode != "wal":
        raise _no_write_ahead(name)


def _no_write_ahead(name: str) -> DatabaseUnusableError:
    return DatabaseUnusableError(
        f"SQLite can't use write-ahead logging for {name}, as on a network file system; keep the database on a local "
        "disk, or use PostgreSQL."
    )
