"""Output of commands, safe for untrusted text such as a channel's name, and the log line of the error that ends one."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.printable import printable

if TYPE_CHECKING:
    from weekbot.runtime.log import LogFormat

log = logging.getLogger(__name__)


def supports_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, *, colour: str | None = None, bold: bool | None = None) -> str:
    """Return the text in this style if the terminal supports colours."""
    return typer.style(text, fg=colour, bold=bold) if (colour or bold) and supports_colour() else text


def one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def encodable(line: str) -> str:
    """Replace characters that stdout can't encode."""
    encoding = sys.stdout.encoding or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)


@contextmanager
def log_final_error(form: "LogFormat") -> Iterator[None]:
    """Log the error that ends the block, and exit with 1; unless logs are JSON, raise a WeekbotError instead."""
    try:
        yield
        return
    except typer.Exit:
        raise
    except WeekbotError as error:
        if form != "json":
            raise
        log.error("%s", error)
    except Exception:
        log.exception("unexpected error; weekbot exits")
    raise typer.Exit(1)
