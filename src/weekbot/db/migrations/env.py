"""Alembic's entry point: migrates over the connection of `Database.upgrade`."""

from alembic import context

from weekbot.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False
)
context.run_migrations()
