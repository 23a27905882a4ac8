"""Upgrading the schema, by Alembic."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from weekbot.store.engine import MIGRATIONS, DatabaseUnusableError
from weekbot.store.revision import revision_of


def upgrade(connection: Connection) -> None:
    """Bring the schema to the latest revision. Raises DatabaseUnusableError where it has one that is not known."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = revision_of(connection)
    if current is not None and current not in known:
        raise DatabaseUnusableError(
            f"The database is from a newer weekbot (revision {current}); update weekbot, or use another database."
        )
    command.upgrade(config, "head")
