"""The commands `weekbot export` and `weekbot import`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from weekbot.cli.database import on_database
from weekbot.cli.output_file import atomic_output
from weekbot.runtime.errors import WeekbotError

STDOUT = Path("-")


def export(
    file: Annotated[Path, typer.Argument(help="File to write, or - for stdout")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file")] = False,
) -> None:
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
