"""The command `weekbot`: its groups and commands, of which `run` and `demo` are here."""

import logging
from functools import partial
from typing import Annotated

import typer

from weekbot.cli.browser import require_demo_packages, show_page
from weekbot.cli.content import content
from weekbot.cli.database import db, export, import_
from weekbot.cli.deliveries import deliveries
from weekbot.cli.doctor import doctor
from weekbot.cli.rehearse import rehearse
from weekbot.cli.terminal import log_final_error
from weekbot.runtime.gc_tuning import raise_gc_threshold

cli = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)
cli.add_typer(content)
cli.add_typer(db)
for command in (doctor, rehearse, deliveries, export):
    cli.command()(command)
cli.command("import")(import_)


def _version(wanted: bool) -> None:
    if wanted:
        from weekbot import __version__

        typer.echo(f"weekbot {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version")]


@cli.callback()
def root(version: Version = False) -> None:
    """One Python topic a week in Discord."""


@cli.command()
def run() -> None:
    """Run the bot."""
    raise_gc_threshold()
    from weekbot.run import run
    from weekbot.runtime import log, loop
    from weekbot.runtime.build_info import build_info
    from weekbot.runtime.clock import SystemClock
    from weekbot.settings import raise_if_invalid, read_settings, setting_warnings

    settings, wrong = read_settings()
    log.configure(settings.log_level, settings.log_format, settings.secrets(), build_info())
    with log_final_error(settings.log_format):
        raise_if_invalid(wrong)
        for doubt in setting_warnings():
            logging.getLogger(__name__).warning("%s", doubt)
        loop.run(run(settings, SystemClock()))


@cli.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 picks a free one")] = 0,
    week: Annotated[float, typer.Option(min=2, help="Length of a week in seconds")] = 30,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser")] = True,
) -> None:
    """Try the bot in a browser, without Discord or a token."""
    with require_demo_packages():
        from weekbot.demo.session import demo
    import asyncio

    from weekbot.runtime import log

    log.configure("WARNING", "console")
    asyncio.run(demo(port=port, week_seconds=week, on_ready=partial(show_page, browser=browser)))
