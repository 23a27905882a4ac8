"""Upgrades the schema with Alembic."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from weekbot.db.backend import MIGRATIONS
from weekbot.db.errors import DatabaseUnusableError
from weekbot.db.revision import is_newer, revision_of


def upgrade(connection: Connection) -> None:
    """Upgrade to the latest revision. Raises DatabaseUnusableError if the present one is unknown."""
    current = revision_of(connection)
    if is_newer(current):
        raise DatabaseUnusableError(
            f"The database is from a newer weekbot (revision {current}); update weekbot, or use another database."
        )
    command.upgrade(migration_config(connection), "head")


def migration_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
