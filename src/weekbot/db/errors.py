"""A database that does not do what it did before, as it is away, full or locked: which may pass."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from weekbot.db.remedies import remedy
from weekbot.runtime.errors import WeekbotError, describe


class DatabaseUnavailableError(WeekbotError):
    """I cannot use my database right now. Try again in a minute."""

    @property
    def reason(self) -> str:
        """What the database said, in one line, without what it was asked."""
        return first_line(self.__cause__ or self)

    @property
    def cure(self) -> str:
        """A sentence on what an operator can do."""
        return remedy(self.__cause__ or self) or "Check that it runs, has room and can be written."


_OPERATIONAL = (OperationalError, InterfaceError, InternalError)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raises DatabaseUnavailableError for what is not the fault of what was asked."""
    try:
        yield
    except (DBAPIError, NoConnectionFree) as error:
        if _is_a_mistake(error):
            raise
        raise DatabaseUnavailableError from error


def first_line(error: BaseException) -> str:
    """Of what an error says, or what it is called where it says nothing."""
    driver = error.orig if isinstance(error, DBAPIError) else None
    return describe(driver or error).partition("\n")[0]


def _is_a_mistake(error: Exception) -> bool:
    """Whether weekbot made a mistake, such as using a missing table, which SQLite reports as an operational error.

    Some errors that the driver counts as mistakes, such as a missing right, can be fixed by an operator.
    """
    if isinstance(error, _OPERATIONAL):
        return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return isinstance(error, DBAPIError) and remedy(error) is None


class FencedError(WeekbotError):
    """Another process sends by now; it goes on with what this one began."""


class DatabaseUnusableError(WeekbotError):
    """The database cannot be opened, or comes from a newer version."""
