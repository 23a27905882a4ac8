"""Database errors: temporary ones, lost leadership, setups that can't work; and what an operator can do about them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from weekbot.runtime.errors import WeekbotError, describe

POOLED = (
    "a pooler between weekbot and PostgreSQL doesn't keep sessions; connect to PostgreSQL itself, or set the pooler to "
    "session mode (PgBouncer: pool_mode = session)"
)
_PRIVILEGES = (
    "Let weekbot's user own the database; once its tables are up to date, SELECT, INSERT, UPDATE and DELETE on all of "
    "them will do."
)
_READ_ONLY = "Set WEEKBOT_DATABASE_URL to the primary, with default_transaction_read_only off for weekbot's user."
_CREDENTIALS = (
    "Check the user and the password in WEEKBOT_DATABASE_URL; percent-encode special characters in them, such as %40 "
    "for @ and %25 for %."
)
_POOLED = f"It seems that {POOLED}."

_BY_SQLSTATE = {"42501": _PRIVILEGES, "3F000": _PRIVILEGES, "25006": _READ_ONLY, "26000": _POOLED, "42P05": _POOLED}
_BY_WORDS = {  # in messages of causes without a SQLSTATE of their own
    "password authentication failed": _CREDENTIALS,
    "pooling mode": _POOLED,
    "session is read-only": _READ_ONLY,
    "during recovery": _READ_ONLY,
}


class DatabaseUnavailableError(WeekbotError):
    """I cannot use my database right now. Try again in a minute."""

    @property
    def reason(self) -> str:
        """The driver's message in one line, without the statement."""
        return first_line(self.__cause__ or self)

    @property
    def remedy(self) -> str:
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


def remedy_for(error: BaseException) -> str | None:
    """Return None if there is no known remedy."""
    cause = (error.orig if isinstance(error, DBAPIError) else None) or error
    by_sqlstate = _BY_SQLSTATE.get(getattr(cause, "sqlstate", None) or "")
    return by_sqlstate or next((remedy for words, remedy in _BY_WORDS.items() if words in str(cause)), None)


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
