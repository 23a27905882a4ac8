"""Schema revisions: the one that a database has, and the latest.

They are read without Alembic, whose import takes longer, and more memory, than the rest of a bot's start.
"""

from sqlalchemy import Connection, column, inspect, select, table

from weekbot.db.backend import MIGRATIONS

REVISIONS = sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*_*.py"))
LATEST = REVISIONS[-1]


def is_newer(revision: str | None) -> bool:
    """Return whether a later version of weekbot made the revision."""
    return revision is not None and revision not in REVISIONS


def revision_of(connection: Connection) -> str | None:
    """Return None if the database is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(select(column("version_num")).select_from(table("alembic_version")))
    return revision
