"""`weekbot doctor`: what is well, what is not, and what to do."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weekbot import log
from weekbot.cli.plain import encodable, one_line
from weekbot.cli.problems import has_colours
from weekbot.settings import doubtful_settings, read_settings

if TYPE_CHECKING:
    from weekbot.doctor.finding import Finding

_LOOKS = {"ok": ("✓", typer.colors.GREEN), "warning": ("!", typer.colors.YELLOW), "error": ("✗", typer.colors.RED)}


def doctor(
    channels: Annotated[bool, typer.Option("--channels", help="Also check each subscribed channel")] = False,
) -> None:
    """Check everything that the bot needs, even while it runs, without changing anything."""
    log.configure("ERROR", "console")
    if asyncio.run(_errors(_findings(channels=channels))):
        raise typer.Exit(1)


def _findings(*, channels: bool) -> "AsyncIterator[Finding]":
    from weekbot.delivery.pacing import Pace
    from weekbot.doctor.examination import REQUESTS_PER_SECOND, examine

    settings, wrong = read_settings()
    pace = Pace(min(REQUESTS_PER_SECOND, settings.requests_per_second))
    return examine(settings, wrong, doubtful_settings(), pace, _free_bytes, channels=channels)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


async def _errors(findings: "AsyncIterator[Finding]") -> int:
    """Write each as it comes; how many are errors."""
    errors = 0
    async for finding in findings:
        typer.echo(_line(finding))
        errors += finding.level == "error"
    return errors


def _line(finding: "Finding") -> str:
    sign, colour = _LOOKS[finding.level]
    level = f"{sign} {finding.level:7}"
    shown = typer.style(level, fg=colour) if has_colours() else level
    return encodable(f"{shown}  {finding.part:8}  {one_line(finding.sentence)}")
