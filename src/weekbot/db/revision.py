"""The schema's revision: which one a database has, and the latest.

They are told without Alembic, whose import takes longer, and more memory, than all of a bot's start that follows it.
"""

from sqlalchemy import Connection, column, inspect, select, table

from weekbot.db.backend import MIGRATIONS

REVISIONS = sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*_*.py"))
"""All that this version knows, the first one first."""
LATEST = REVISIONS[-1]


def is_newer(revision: str | None) -> bool:
    """Whether a later version than this one made it."""
    return revision is not None and revision not in REVISIONS


def revision_of(connection: Connection) -> str | None:
    """None where the database is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(select(column("version_num")).select_from(table("alembic_version")))
    return revision
