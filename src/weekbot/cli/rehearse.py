"""`weekbot rehearse`: what only the real Discord can confirm."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weekbot import log
from weekbot.cli.plain import encodable, one_line
from weekbot.cli.problems import has_colours
from weekbot.printable import printable
from weekbot.settings import load_settings

if TYPE_CHECKING:
    from weekbot.rehearse.finding import Finding

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
    from weekbot import loop
    from weekbot.clock import SystemClock
    from weekbot.rehearse.rehearsal import Request, rehearse

    settings = load_settings()
    log.configure("ERROR", "console", settings.secrets())
    loop.run(rehearse(settings, Request(channel_id, follow, output), SystemClock(), _show))


def _show(this: "Finding | str") -> None:
    typer.echo(encodable(printable(this) if isinstance(this, str) else _line(this)))


def _line(finding: "Finding") -> str:
    sign, colour = _LOOKS[finding.result]
    result = f"{sign} {finding.result:13}"
    shown = typer.style(result, fg=colour) if has_colours() else result
    return f"{shown}  {finding.part:14}  {one_line(finding.sentence)}"
