"""The commands `weekbot export` and `weekbot import`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from weekbot.cli.output_file import atomic_output
from weekbot.runtime.errors import WeekbotError
from weekbot.settings import load_settings

STDOUT = Path("-")


def export(
    file: Annotated[Path, typer.Argument(help="Where to; - is stdout.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write all state to a file of JSON Lines, also while the bot runs."""
    url = load_settings().database_url
    if file == STDOUT:
        rows = asyncio.run(_export(url, sys.stdout.buffer))
    else:
        with atomic_output(file, force=force) as part, part.open("wb") as opened:
            rows = asyncio.run(_export(url, opened))
    typer.echo(f"Exported {rows:,} rows. They hold members' ids; keep them to yourself.", err=True)


def import_(file: Path) -> None:
    """Put all state from an export into an empty database."""
    url = load_settings().database_url
    try:
        with file.open("rb") as opened:
            asyncio.run(_import(url, opened))
    except OSError as error:
        raise WeekbotError(f"{file} cannot be read: {error.strerror or error}.") from error
    typer.echo("Imported and verified. When weekbot starts it looks up what was posted since the export was made.")


async def _export(url: str, file: BinaryIO) -> int:
    from weekbot.db.database import Database
    from weekbot.runtime.clock import SystemClock
    from weekbot.transfer.export_import import export

    async with Database(url) as database:
        return await export(database, file, SystemClock().now())


async def _import(url: str, file: BinaryIO) -> None:
    from weekbot.db.database import Database
    from weekbot.transfer.export_import import import_

    async with Database(url) as database:
        await import_(database, file, typer.echo)
