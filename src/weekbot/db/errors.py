"""Database errors: temporary ones, lost leadership, and setups that can't work."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from weekbot.db.remedies import remedy_for
from weekbot.runtime.errors import WeekbotError, describe


class DatabaseUnavailableError(WeekbotError):
    """I cannot use my database right now. Try again in a minute."""

    @property
    def reason(self) -> str:
        """The driver's message in one line, without the statement."""
        return first_line(self.__cause__ or self)

    @property
    def remedy(self) -> str:
        """A sentence on what an operator can do."""
        return remedy_for(self.__cause__ or self) or "Check that it runs, has free space and is writable."


class FencedError(WeekbotError):
    """Another process sends now; it continues what this one started."""


class DatabaseUnusableError(WeekbotError):
    """The database cannot be opened, or comes from a newer version."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate errors other than programming errors into DatabaseUnavailableError."""
    try:
        yield
    except (DBAPIError, NoConnectionFree) as error:
        if _is_programming_error(error):
            raise
        raise DatabaseUnavailableError from error


def first_line(error: BaseException) -> str:
    """Return the first line of the error's message, or its type if it has none."""
    driver = error.orig if isinstance(error, DBAPIError) else None
    return describe(driver or error).partition("\n")[0]


def _is_programming_error(error: Exception) -> bool:
    """Return whether weekbot made a mistake, such as using a missing table.

    SQLite reports those as operational errors. Some of the driver's programming errors, such as a missing privilege,
    can be fixed by an operator.
    """
    if isinstance(error, OperationalError | InterfaceError | InternalError):
        return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return isinstance(error, DBAPIError) and remedy_for(error) is None
