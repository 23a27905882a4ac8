"""`weekbot export` and `weekbot import`: all state as JSON Lines."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from weekbot.cli.new_file import new_file
from weekbot.errors import WeekbotError
from weekbot.settings import load_settings

STDOUT = Path("-")


def export(
    file: Annotated[Path, typer.Argument(help="File to write, or - for stdout")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file")] = False,
) -> None:
    """Export all state to a JSON Lines file, even while the bot runs."""
    url = load_settings().database_url
    if file == STDOUT:
        rows = asyncio.run(_export(url, sys.stdout.buffer))
    else:
        with new_file(file, force=force) as part, part.open("wb") as opened:
            rows = asyncio.run(_export(url, opened))
    typer.echo(f"Exported {rows:,} rows. They contain members' IDs; keep them private.", err=True)


def import_(file: Path) -> None:
    """Import all state from an export into an empty database."""
    url = load_settings().database_url
    try:
        with file.open("rb") as opened:
            asyncio.run(_import(url, opened))
    except OSError as error:
        raise WeekbotError(f"{file} cannot be read: {error.strerror or error}.") from error
    typer.echo("Imported and verified. When weekbot starts, it looks up what was posted since the export.")


async def _export(url: str, file: BinaryIO) -> int:
    from weekbot.clock import SystemClock
    from weekbot.store.database import Database
    from weekbot.store.exchange import export

    async with Database(url) as database:
        return await export(database, file, SystemClock().now())


async def _import(url: str, file: BinaryIO) -> None:
    from weekbot.store.database import Database
    from weekbot.store.exchange import import_

    async with Database(url) as database:
        await import_(database, file, typer.echo)
