"""`weekbot db`: the database."""

import asyncio
from typing import Annotated

import typer

from weekbot.settings import load_settings

db = typer.Typer(name="db", help="Look after the database.", no_args_is_help=True)


@db.callback()
def group() -> None:
    """Look after the database."""


@db.command()
def upgrade() -> None:
    """Bring the schema up to date; `weekbot run` does it too."""
    asyncio.run(_upgrade(load_settings().database_url))
    typer.echo("The database is up to date.")


@db.command()
def copy(to: Annotated[str, typer.Option(help="Where to: postgresql://user:password@host/name.")]) -> None:
    """Copy a SQLite database to PostgreSQL, and verify the copy; the file stays as it is."""
    asyncio.run(_copy(load_settings().database_url, to))
    typer.echo("Copied and verified. Set WEEKBOT_DATABASE_URL to the new database, and start weekbot.")


async def _copy(source_url: str, target_url: str) -> None:
    from weekbot.store.database import Database
    from weekbot.store.moving import copy

    source, target = Database(source_url), Database(target_url)
    try:
        await copy(source, target, typer.echo)
    finally:
        await source.close()
        await target.close()


async def _upgrade(url: str) -> None:
    from weekbot.store.database import Database  # not at import: `weekbot content check` starts faster without

    database = Database(url)
    try:
        await database.upgrade()
    finally:
        await database.close()
