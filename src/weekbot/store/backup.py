"""A copy of a SQLite file as one file: taken beside a bot that runs, and put in the place of one that does not."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from weekbot.errors import WeekbotError
from weekbot.store.contents import check_there
from weekbot.store.database import Database
from weekbot.store.engine import DatabaseUnusableError
from weekbot.store.revision import is_newer
from weekbot.store.stamp import TAKEN_AT

PAGES = 1000
"""Copied at a time."""


class NotABackupError(WeekbotError):
    """The file cannot be restored."""


def check_is_file(database: Database, instead: str) -> None:
    """Raises WeekbotError where the database is on a server, which has a tool for this."""
    if not database.is_sqlite:
        raise WeekbotError(f"This is for SQLite. For a PostgreSQL database, use {instead}, which comes with it.")


def back_up(database: Database, copy: Path, now: datetime) -> None:
    """Copy the database as it is at this moment, verified, and stamped as a copy.

    Raises DatabaseUnusableError, NotABackupError, and WeekbotError where it is not there.
    """
    check_there(database)
    with _told(f"The database {database.name} cannot be backed up"):
        _copy(Path(database.name), copy)
        _check_sound(copy)
        _stamp(copy, now)


def restore(database: Database, backup: Path, copy: Path) -> None:
    """Make `copy` what takes the place of the database, which nobody may be using: verified, and stamped as a copy.

    Raises DatabaseUnusableError and NotABackupError.
    """
    place = Path(database.name)
    with _told(f"{backup} cannot be restored"):
        _copy(backup, copy)
        _check_sound(copy)
        _stamp(copy, _newest(copy))
        for name in (f"{place.name}-wal", f"{place.name}-shm"):  # of what was there before
            place.with_name(name).unlink(missing_ok=True)


@contextmanager
def _told(sentence: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise DatabaseUnusableError(f"{sentence}: {error}.") from error


def _copy(source: Path, target: Path) -> None:
    """As one transaction sees it: a writer is not kept waiting, and what it writes does not make it begin again."""
    with _opened(source) as old, _opened(target) as new:
        old.execute("BEGIN")
        old.execute("SELECT count(*) FROM sqlite_master")
        old.backup(new, pages=PAGES)
        new.execute("PRAGMA journal_mode=DELETE")  # all of it in this one file


def _check_sound(copy: Path) -> None:
    with _opened(copy) as connection:
        [(verdict,), *_] = connection.execute("PRAGMA integrity_check")
        if verdict != "ok":
            raise NotABackupError(f"It is damaged: {verdict}.")
        [(ours,)] = connection.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('alembic_version', 'facts')")
        if ours != 2:
            raise NotABackupError("It isn't a weekbot database.")
        [(revision,)] = connection.execute("SELECT version_num FROM alembic_version")
        if is_newer(revision):
            raise NotABackupError(f"It is from a newer weekbot (revision {revision}); update weekbot.")


def _stamp(copy: Path, taken_at: datetime) -> None:
    """One that it bears already stays."""
    with _opened(copy) as connection, connection:
        values = (TAKEN_AT, taken_at.isoformat())
        connection.execute("INSERT OR IGNORE INTO facts (name, value) VALUES (?, ?)", values)


def _newest(copy: Path) -> datetime:
    """A copy that was made by other means is at least as new as the last slot that was claimed in it."""
    with _opened(copy) as connection:
        [(slot,)] = connection.execute(
            "SELECT coalesce((SELECT max(slot) FROM deliveries), (SELECT min(next_slot) FROM subscriptions))"
        )
    return datetime.fromisoformat(slot).replace(tzinfo=UTC) if slot else datetime.now(UTC)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Not made where it is not there."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        yield connection
