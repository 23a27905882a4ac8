"""The commands `weekbot db`, `weekbot export` and `weekbot import`."""

import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from weekbot.cli.output_file import atomic_output
from weekbot.runtime.errors import WeekbotError

if TYPE_CHECKING:
    from weekbot.db.database import Database

T = TypeVar("T")
STDOUT = Path("-")
db = typer.Typer(name="db", help="Manage the database.", no_args_is_help=True)


def on_database(action: "Callable[[Database], Awaitable[T]]") -> T:
    """Run the action on the configured database."""
    import asyncio

    from weekbot.db.database import Database
    from weekbot.settings import load_settings

    async def run() -> T:
        async with Database(load_settings().database_url) as database:
            return await action(database)

    return asyncio.run(run())


@db.command()
def upgrade() -> None:
    """Upgrade the database schema; `weekbot run` does this too."""
    on_database(lambda database: database.upgrade())
    typer.echo("The database is up to date.")


@db.command()
def copy(to: Annotated[str, typer.Option(help="Target, for example postgresql://user:password@host/name")]) -> None:
    """Copy a SQLite database to PostgreSQL and verify the copy; the file is not changed."""
    from weekbot.db.database import Database
    from weekbot.transfer.database_copy import copy

    async def copy_all(source: Database) -> None:
        async with Database(to) as target:
            await copy(source, target, typer.echo)

    on_database(copy_all)
    typer.echo("Copied and verified. Set WEEKBOT_DATABASE_URL to the new database, and start weekbot.")


Force = Annotated[bool, typer.Option("--force", help="Replace an existing file")]


@db.command()
def backup(file: Path, force: Force = False) -> None:
    """Back up a SQLite database to a file, even while the bot runs, and verify the copy."""
    from weekbot.db.database import Database
    from weekbot.runtime.clock import SystemClock
    from weekbot.settings import load_settings
    from weekbot.transfer.backup import back_up, check_is_sqlite

    database = Database(load_settings().database_url)
    check_is_sqlite(database, "pg_dump")
    with atomic_output(file, force=force) as copy:
        back_up(database, copy, SystemClock().now())
    typer.echo(f"Backed up and verified: {file}. It contains members' IDs; keep it private.")


@db.command()
def restore(file: Path, force: Force = False) -> None:
    """Replace a SQLite database that is not in use with a backup."""
    from weekbot.cluster.process_lock import process_lock
    from weekbot.transfer.backup import check_is_sqlite, restore

    async def replace(database: "Database") -> None:
        check_is_sqlite(database, "pg_restore")
        async with process_lock(database):
            with atomic_output(Path(database.name), force=force) as copy:
                restore(database, file, copy)

    on_database(replace)
    typer.echo("Restored. When weekbot starts, it looks up what was posted since then and posts nothing twice.")


@db.command()
def mark_restored() -> None:
    """After a restore by other means, have weekbot look up what was posted since then."""
    from weekbot.cluster.process_lock import process_lock
    from weekbot.db.snapshot_marker import mark_restored
    from weekbot.transfer.table_rows import check_exists

    async def mark(database: "Database") -> datetime | None:
        check_exists(database)
        await database.upgrade()
        async with process_lock(database), database.write() as connection:
            return await mark_restored(connection)

    since = on_database(mark)
    if since is None:
        typer.echo("Nothing to mark: no channel is subscribed.")
    else:
        sought = f"what was posted since {since:%Y-%m-%d %H:%M} UTC"
        typer.echo(f"Marked. When weekbot starts, it looks up {sought}, and posts nothing twice.")


def export(file: Annotated[Path, typer.Argument(help="File to write, or - for stdout")], force: Force = False) -> None:
    """Export all state to a JSON Lines file, even while the bot runs."""
    from weekbot.runtime.clock import SystemClock
    from weekbot.transfer.export_import import export

    now = SystemClock().now()
    if file == STDOUT:
        rows = on_database(lambda database: export(database, sys.stdout.buffer, now))
    else:
        with atomic_output(file, force=force) as part, part.open("wb") as opened:
            rows = on_database(lambda database: export(database, opened, now))
    typer.echo(f"Exported {rows:,} rows. They contain members' IDs; keep them private.", err=True)


def import_(file: Path) -> None:
    """Import all state from an export into an empty database."""
    from weekbot.transfer.export_import import import_

    try:
        with file.open("rb") as opened:
            on_database(lambda database: import_(database, opened, typer.echo))
    except OSError as error:
        raise WeekbotError(f"{file} cannot be read: {error.strerror or error}.") from error
    typer.echo("Imported and verified. When weekbot starts, it looks up what was posted since the export.")
