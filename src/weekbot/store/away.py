"""A database that does not do what it did before, as it is away, full or locked: which may pass."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from weekbot.errors import WeekbotError, said


class DatabaseAwayError(WeekbotError):
    """I cannot use my database right now. Try again in a minute."""

    @property
    def reason(self) -> str:
        """What the database said, in one line, without what it was asked."""
        return first_line(self.__cause__ or self)


@contextmanager
def told_from_mistakes() -> Iterator[None]:
    """Raises DatabaseAwayError for what is not the fault of what was asked."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, NoConnectionFree) as error:
        if _is_a_mistake(error):
            raise
        raise DatabaseAwayError from error


def first_line(error: BaseException) -> str:
    """Of what an error says, or what it is called where it says nothing."""
    return said(error).partition("\n")[0]


def _is_a_mistake(error: Exception) -> bool:
    """As a table that is not there: to SQLite that is an operational error like any other."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
