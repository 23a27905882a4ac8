"""`weekbot rehearse`: what only the real Discord can confirm."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weekbot.cli.terminal import encodable, one_line, styled
from weekbot.runtime.printable import printable

if TYPE_CHECKING:
    from weekbot.rehearse.check_result import CheckResult

GREATEST_ID = 2**63 - 1
_LOOKS = {
    "as expected": ("✓", typer.colors.GREEN),
    "deviates": ("✗", typer.colors.RED),
    "not tried": ("!", typer.colors.YELLOW),
    "skipped": ("-", typer.colors.BRIGHT_BLACK),
    "to look at": ("?", typer.colors.YELLOW),
}

ChannelId = Annotated[int, typer.Argument(min=1, max=GREATEST_ID, help="ID of a test channel")]
FollowerId = Annotated[
    int | None,
    typer.Option(metavar="CHANNEL_ID", min=1, max=GREATEST_ID, help="ID of a channel that follows the test channel"),
]
Output = Annotated[Path | None, typer.Option(help="New file for the raw answers", show_default=False)]


def rehearse(channel_id: ChannelId, follow: FollowerId = None, output: Output = None) -> None:
    """Rehearse in a test channel what only Discord can confirm, report each finding, and delete everything again.

    It posts, edits, pins and publishes once each, mentions no members and uses no database. The bot can keep running.
    """
    from weekbot.rehearse.rehearsal import Request, rehearse
    from weekbot.runtime import log, loop
    from weekbot.runtime.clock import SystemClock
    from weekbot.settings import load_settings

    settings = load_settings()
    log.configure("ERROR", "console", settings.secrets())
    loop.run(rehearse(settings, Request(channel_id, follow, output), SystemClock(), _show))


def _show(this: "CheckResult | str") -> None:
    typer.echo(encodable(printable(this) if isinstance(this, str) else _line(this)))


def _line(result: "CheckResult") -> str:
    sign, colour = _LOOKS[result.result]
    label = styled(f"{sign} {result.result:13}", colour=colour)
    return f"{label}  {result.part:14}  {one_line(result.sentence)}"
