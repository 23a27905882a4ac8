"""The command `weekbot doctor`."""

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weekbot.cli.terminal import encodable, one_line, styled
from weekbot.runtime import log
from weekbot.settings import read_settings, setting_warnings

if TYPE_CHECKING:
    from weekbot.ops.doctor.finding import Finding

_STYLES = {"ok": ("✓", typer.colors.GREEN), "warning": ("!", typer.colors.YELLOW), "error": ("✗", typer.colors.RED)}


def doctor(
    channels: Annotated[bool, typer.Option("--channels", help="Also check each subscribed channel")] = False,
) -> None:
    """Check everything that the bot needs, even while it runs, without changing anything."""
    log.configure("ERROR", "console")
    if asyncio.run(_examine(channels=channels)):
        raise typer.Exit(1)


async def _examine(*, channels: bool) -> int:
    """Write each finding, and return the number of errors."""
    from weekbot.discord_io.rate_limiter import RateLimiter
    from weekbot.ops.doctor.checks import REQUESTS_PER_SECOND, examine

    settings, wrong = read_settings()
    rate_limiter = RateLimiter(min(REQUESTS_PER_SECOND, settings.requests_per_second))
    errors = 0
    async for finding in examine(settings, wrong, setting_warnings(), rate_limiter, _free_bytes, channels=channels):
        typer.echo(_line(finding))
        errors += finding.level == "error"
    return errors


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _line(finding: "Finding") -> str:
    sign, colour = _STYLES[finding.level]
    level = styled(f"{sign} {finding.level:7}", colour=colour)
    return encodable(f"{level}  {finding.part:8}  {one_line(finding.sentence)}")
