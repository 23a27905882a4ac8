"""Schema revisions: the one that a database has, the latest one, and upgrades with Alembic.

Alembic is imported only if it is needed: that takes longer, and more memory, than the rest of a bot's start.
"""

from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from weekbot.db.errors import DatabaseUnusableError

MIGRATIONS = Path(__file__).with_name("migrations")
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


def upgrade(connection: Connection, target: str = LATEST) -> None:
    """Upgrade to the target revision. Raises DatabaseUnusableError if the present one is unknown."""
    current = revision_of(connection)
    if is_newer(current):
        raise DatabaseUnusableError(
            f"The database is from a newer weekbot (revision {current}); update weekbot, or use another database."
        )
    if current != target:
        from alembic import command
        from alembic.config import Config

        config = Config(config_args={"script_location": str(MIGRATIONS)}, attributes={"connection": connection})
        command.upgrade(config, target)
