"""A copy of a SQLite database in one file: made beside a running bot, and restored without one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnusableError
from weekbot.db.revision import is_newer
from weekbot.db.snapshot_marker import TAKEN_AT
from weekbot.runtime.errors import WeekbotError
from weekbot.transfer.table_rows import check_exists

PAGES = 1000  # copied in one step


class NotABackupError(WeekbotError):
    """The file cannot be restored."""


def check_is_sqlite(database: Database, instead: str) -> None:
    """Raises WeekbotError for PostgreSQL, which has a tool for this."""
    if not database.is_sqlite:
        raise WeekbotError(f"This is for SQLite. For a PostgreSQL database, use {instead}, which comes with it.")


def back_up(database: Database, copy: Path, now: datetime) -> None:
    """Raises DatabaseUnusableError, NotABackupError, and WeekbotError if the database doesn't exist."""
    check_exists(database)
    with _errors_mapped(f"The database {database.name} cannot be backed up"):
        _copy(Path(database.name), copy)
        _mark(copy, now)


def restore(database: Database, backup: Path, copy: Path) -> None:
    """Write to `copy` the file that will replace the unused database. Raises DatabaseUnusableError, NotABackupError."""
    place = Path(database.name)
    with _errors_mapped(f"{backup} cannot be restored"):
        _copy(backup, copy)
        _mark(copy, _latest_slot(copy))
        for name in (f"{place.name}-wal", f"{place.name}-shm"):  # of the replaced database
            place.with_name(name).unlink(missing_ok=True)


@contextmanager
def _errors_mapped(sentence: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise DatabaseUnusableError(f"{sentence}: {error}.") from error


def _copy(source: Path, target: Path) -> None:
    """Copy in one read transaction, so that no writer waits, and none makes the copy start again."""
    with _opened(source) as old, _opened(target) as new:
        old.execute("BEGIN")
        old.execute("SELECT count(*) FROM sqlite_master")
        old.backup(new, pages=PAGES)
        new.execute("PRAGMA journal_mode=DELETE")  # so that everything is in this one file
    with _opened(target) as copy:
        _verify(copy)


def _verify(copy: sqlite3.Connection) -> None:
    [(verdict,), *_] = copy.execute("PRAGMA integrity_check")
    if verdict != "ok":
        raise NotABackupError(f"It is damaged: {verdict}.")
    [(ours,)] = copy.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('alembic_version', 'facts')")
    if ours != 2:
        raise NotABackupError("It isn't a weekbot database.")
    [(revision,)] = copy.execute("SELECT version_num FROM alembic_version")
    if is_newer(revision):
        raise NotABackupError(f"It is from a newer weekbot (revision {revision}); update weekbot.")


def _mark(copy: Path, taken_at: datetime) -> None:
    with _opened(copy) as connection, connection:
        marker = (TAKEN_AT, taken_at.isoformat())
        connection.execute("INSERT OR IGNORE INTO facts (name, value) VALUES (?, ?)", marker)


def _latest_slot(copy: Path) -> datetime:
    """Return the last claimed slot: a copy made by other means is at least as new."""
    with _opened(copy) as connection:
        [(slot,)] = connection.execute(
            "SELECT coalesce((SELECT max(slot) FROM deliveries), (SELECT min(next_slot) FROM subscriptions))"
        )
    return datetime.fromisoformat(slot).replace(tzinfo=UTC) if slot else datetime.now(UTC)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        yield connection
