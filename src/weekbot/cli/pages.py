"""Pages that commands serve: the packages they need, and how their address is shown."""

import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from weekbot.errors import WeekbotError


class MissingExtraError(WeekbotError):
    """The page needs more packages. Run: pip install 'weekbot[demo]'"""


@contextmanager
def demo_packages() -> Iterator[None]:
    """For the import of what needs them. Raises MissingExtraError where they are not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError from error  # simcord comes with the extra


def show_page(url: str, *, browser: bool) -> None:
    """Print the page's address and open it, unless a browser of the terminal's would take it over."""
    typer.echo(url)
    if browser and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
