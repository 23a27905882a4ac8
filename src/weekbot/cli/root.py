"""`weekbot run`, `weekbot demo`, and the groups `content` and `db`."""

import asyncio
import os
import sys
import threading
import webbrowser
from functools import partial
from typing import Annotated

import typer

from weekbot import __version__, log
from weekbot.cli.content import content
from weekbot.cli.db import db
from weekbot.errors import WeekbotError
from weekbot.settings import load_settings

cli = typer.Typer(
    help="One Python topic a week in Discord.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.add_typer(content)
cli.add_typer(db)


class MissingExtraError(WeekbotError):
    """The demo needs more packages: pip install 'weekbot[demo]'"""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"weekbot {__version__}")
        raise typer.Exit


@cli.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """One Python topic a week in Discord."""


@cli.command()
def run() -> None:
    """Run the bot."""
    from weekbot.clock import SystemClock
    from weekbot.run import run

    settings = load_settings()
    log.configure(settings.log_level, settings.log_format)
    asyncio.run(run(settings, SystemClock()))


@cli.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = 0,
    week: Annotated[float, typer.Option(min=2, help="How many seconds a week lasts.")] = 30,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """Try the bot in a browser: no Discord, no token."""
    try:
        from weekbot.demo.run import demo
    except ModuleNotFoundError as error:
        raise MissingExtraError from error  # simcord comes with the extra
    log.configure("WARNING", "console")
    asyncio.run(demo(port=port, week_seconds=week, on_ready=partial(_show, browser=browser)))


def _show(url: str, *, browser: bool) -> None:
    """Print the page's address and open it, unless a browser of the terminal's would take it over."""
    typer.echo(url)
    if browser and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
