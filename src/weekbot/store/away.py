"""A database that does not do what it did before, as it is away, full or locked: which may pass."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from weekbot.errors import WeekbotError


class DatabaseAwayError(WeekbotError):
    """I cannot use my database right now. Try again in a minute."""


@contextmanager
def told_from_mistakes() -> Iterator[None]:
    """Raises DatabaseAwayError for what is not the fault of what was asked."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            raise  # SQLite counts mistakes in a statement among these
        raise DatabaseAwayError from error
    except NoConnectionFree as error:
        raise DatabaseAwayError from error
