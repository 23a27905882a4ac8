"""`weekbot db`: the database."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from weekbot.cli.output_file import new_file
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


Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


@db.command()
def backup(file: Path, force: Force = False) -> None:
    """Copy a SQLite database to one file, also while the bot runs, and verify the copy."""
    from weekbot.db.database import Database
    from weekbot.runtime.clock import SystemClock
    from weekbot.transfer.backup import back_up, check_is_file

    database = Database(load_settings().database_url)
    check_is_file(database, "pg_dump")
    with new_file(file, force=force) as copy:
        back_up(database, copy, SystemClock().now())
    typer.echo(f"Backed up and verified: {file}. It holds members' ids; keep it to yourself.")


@db.command()
def restore(file: Path, force: Force = False) -> None:
    """Put a backup in the place of a SQLite database that nobody uses."""
    asyncio.run(_restore(load_settings().database_url, file, force=force))
    typer.echo("Restored. When weekbot starts it looks up what was posted since, and posts nothing twice.")


@db.command()
def mark_restored() -> None:
    """Have weekbot look up what was posted since, after a restore by other means."""
    since = asyncio.run(_mark_restored(load_settings().database_url))
    if since is None:
        typer.echo("Nothing to mark: no channel is subscribed.")
    else:
        typer.echo(
            f"Marked. When weekbot starts it looks up what was posted since {since:%Y-%m-%d %H:%M} UTC,"
            " and posts nothing twice."
        )


async def _mark_restored(url: str) -> datetime | None:
    from weekbot.cluster.process_lock import process_lock
    from weekbot.db.database import Database
    from weekbot.db.snapshot_marker import mark_restored
    from weekbot.transfer.table_rows import check_there

    async with Database(url) as database:
        check_there(database)
        await database.upgrade()
        async with process_lock(database), database.write() as connection:
            return await mark_restored(connection)


async def _restore(url: str, file: Path, *, force: bool) -> None:
    from weekbot.cluster.process_lock import process_lock
    from weekbot.db.database import Database
    from weekbot.transfer.backup import check_is_file, restore

    async with Database(url) as database:
        check_is_file(database, "pg_restore")
        async with process_lock(database):
            with new_file(Path(database.name), force=force) as copy:
                restore(database, file, copy)


async def _copy(source_url: str, target_url: str) -> None:
    from weekbot.db.database import Database
    from weekbot.transfer.database_copy import copy

    async with Database(source_url) as source, Database(target_url) as target:
        await copy(source, target, typer.echo)


async def _upgrade(url: str) -> None:
    from weekbot.db.database import Database  # not at import: `weekbot content check` starts faster without

    async with Database(url) as database:
        await database.upgrade()
