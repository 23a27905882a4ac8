"""Web pages that commands serve, and the packages they need."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from weekbot.runtime.errors import WeekbotError


class MissingExtraError(WeekbotError):
    """The page needs more packages. Run: pip install 'weekbot[demo]'"""


@contextmanager
def require_demo_packages() -> Iterator[None]:
    """Raise MissingExtraError if an import in the block fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError from error


def show_page(url: str, *, browser: bool) -> None:
    """Print the page's address, and open it unless only a text browser would be available."""
    typer.echo(url)
    if browser and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
