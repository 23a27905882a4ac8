"""`weekbot db`: the database."""

import asyncio

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


async def _upgrade(url: str) -> None:
    from weekbot.store.database import Database  # not at import: `weekbot content check` starts faster without

    database = Database(url)
    try:
        await database.upgrade()
    finally:
        await database.close()
