"""The command `weekbot doctor`."""

from typing import TYPE_CHECKING, Annotated

import typer

from weekbot.cli.terminal import encodable, one_line, styled

if TYPE_CHECKING:
    from weekbot.ops.doctor.finding import Finding

_STYLES = {"ok": ("✓", typer.colors.GREEN), "warning": ("!", typer.colors.YELLOW), "error": ("✗", typer.colors.RED)}


def doctor(
    channels: Annotated[bool, typer.Option("--channels", help="Also check each subscribed channel")] = False,
) -> None:
    """Check everything that the bot needs, even while it runs, without changing anything."""
    import asyncio

    from weekbot.runtime import log

    log.configure("ERROR", "console")
    if asyncio.run(_examine(channels=channels)):
        raise typer.Exit(1)


async def _examine(*, channels: bool) -> int:
    """Write each finding, and return the number of errors."""
    from weekbot.ops.doctor.checks import examine

    errors = 0
    async for finding in examine(channels=channels):
        typer.echo(_line(finding))
        errors += finding.level == "error"
    return errors


def _line(finding: "Finding") -> str:
    sign, colour = _STYLES[finding.level]
    level = styled(f"{sign} {finding.level:7}", colour=colour)
    return encodable(f"{level}  {finding.part:8}  {one_line(finding.sentence)}")
