"""`weekbot run`, `demo`, `doctor`, `rehearse`, `deliveries`, `export`, `import`, and the groups `content` and `db`."""

import asyncio
import logging
from functools import partial
from typing import Annotated

import typer

from weekbot import __version__, log, loop
from weekbot.build_info import build_info
from weekbot.cli.content import content
from weekbot.cli.db import db
from weekbot.cli.deliveries import deliveries
from weekbot.cli.doctor import doctor
from weekbot.cli.exchange import export, import_
from weekbot.cli.last_line import last_line
from weekbot.cli.pages import demo_packages, show_page
from weekbot.cli.rehearse import rehearse
from weekbot.garbage import collect_rarely
from weekbot.settings import check, doubtful_settings, read_settings

cli = typer.Typer(
    help="One Python topic a week in Discord.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.add_typer(content)
cli.add_typer(db)
cli.command()(doctor)
cli.command()(rehearse)
cli.command()(deliveries)
cli.command()(export)
cli.command("import")(import_)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"weekbot {__version__}")
        raise typer.Exit


@cli.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version")
    ] = False,
) -> None:
    """One Python topic a week in Discord."""


@cli.command()
def run() -> None:
    """Run the bot."""
    collect_rarely()
    from weekbot.clock import SystemClock
    from weekbot.run import run

    settings, wrong = read_settings()
    log.configure(settings.log_level, settings.log_format, settings.secrets(), build_info())
    with last_line(settings.log_format):
        check(wrong)
        for doubt in doubtful_settings():
            logging.getLogger(__name__).warning("%s", doubt)
        loop.run(run(settings, SystemClock()))


@cli.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 picks a free one")] = 0,
    week: Annotated[float, typer.Option(min=2, help="Length of a week in seconds")] = 30,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser")] = True,
) -> None:
    """Try the bot in a browser, without Discord or a token."""
    with demo_packages():
        from weekbot.demo.run import demo
    log.configure("WARNING", "console")
    asyncio.run(demo(port=port, week_seconds=week, on_ready=partial(show_page, browser=browser)))
