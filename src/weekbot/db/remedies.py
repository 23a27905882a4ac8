"""Remedies: sentences on what an operator can do about a database error."""

from sqlalchemy.exc import DBAPIError

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


def remedy_for(error: BaseException) -> str | None:
    """Return None if there is no known remedy."""
    cause = (error.orig if isinstance(error, DBAPIError) else None) or error
    by_sqlstate = _BY_SQLSTATE.get(getattr(cause, "sqlstate", None) or "")
    return by_sqlstate or next((remedy for words, remedy in _BY_WORDS.items() if words in str(cause)), None)
