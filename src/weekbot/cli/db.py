"""`weekbot db`: the database."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from weekbot.cli.new_file import new_file
from weekbot.settings import load_settings

db = typer.Typer(name="db", help="Manage the database.", no_args_is_help=True)


@db.callback()
def group() -> None:
    """Manage the database."""


@db.command()
def upgrade() -> None:
    """Upgrade the database schema; `weekbot run` does this too."""
    asyncio.run(_upgrade(load_settings().database_url))
    typer.echo("The database is up to date.")


@db.command()
def copy(to: Annotated[str, typer.Option(help="Target, for example postgresql://user:password@host/name")]) -> None:
    """Copy a SQLite database to PostgreSQL and verify the copy; the file is not changed."""
    asyncio.run(_copy(load_settings().database_url, to))
    typer.echo("Copied and verified. Set WEEKBOT_DATABASE_URL to the new database, and start weekbot.")


Force = Annotated[bool, typer.Option("--force", help="Replace an existing file")]


@db.command()
def backup(file: Path, force: Force = False) -> None:
    """Back up a SQLite database to a file, even while the bot runs, and verify the copy."""
    from weekbot.clock import SystemClock
    from weekbot.store.backup import back_up, check_is_file
    from weekbot.store.database import Database

    database = Database(load_settings().database_url)
    check_is_file(database, "pg_dump")
    with new_file(file, force=force) as copy:
        back_up(database, copy, SystemClock().now())
    typer.echo(f"Backed up and verified: {file}. It contains members' IDs; keep it private.")


@db.command()
def restore(file: Path, force: Force = False) -> None:
    """Replace a SQLite database that is not in use with a backup."""
    asyncio.run(_restore(load_settings().database_url, file, force=force))
    typer.echo("Restored. When weekbot starts, it looks up what was posted since then and posts nothing twice.")


@db.command()
def mark_restored() -> None:
    """After a restore by other means, have weekbot look up what was posted since then."""
    since = asyncio.run(_mark_restored(load_settings().database_url))
    if since is None:
        typer.echo("Nothing to mark: no channel is subscribed.")
    else:
        typer.echo(
            f"Marked. When weekbot starts, it looks up what was posted since {since:%Y-%m-%d %H:%M} UTC,"
            " and posts nothing twice."
        )


async def _mark_restored(url: str) -> datetime | None:
    from weekbot.store.contents import check_there
    from weekbot.store.database import Database
    from weekbot.store.sole_use import sole_use
    from weekbot.store.stamp import stamp_as_restored

    async with Database(url) as database:
        check_there(database)
        await database.upgrade()
        async with sole_use(database), database.write() as connection:
            return await stamp_as_restored(connection)


async def _restore(url: str, file: Path, *, force: bool) -> None:
    from weekbot.store.backup import check_is_file, restore
    from weekbot.store.database import Database
    from weekbot.store.sole_use import sole_use

    async with Database(url) as database:
        check_is_file(database, "pg_restore")
        async with sole_use(database):
            with new_file(Path(database.name), force=force) as copy:
                restore(database, file, copy)


async def _copy(source_url: str, target_url: str) -> None:
    from weekbot.store.database import Database
    from weekbot.store.moving import copy

    async with Database(source_url) as source, Database(target_url) as target:
        await copy(source, target, typer.echo)


async def _upgrade(url: str) -> None:
    from weekbot.store.database import Database  # not at import: `weekbot content check` starts faster without

    async with Database(url) as database:
        await database.upgrade()
