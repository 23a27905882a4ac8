"""Output for terminals, safe for untrusted text such as a channel's name."""

import os
import sys

import typer

from weekbot.runtime.printable import printable


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
