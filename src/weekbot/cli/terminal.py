"""Text of others', such as a channel's name or what Discord says, as it may be written to a terminal."""

import sys

from weekbot.runtime.printable import printable


def one_line(text: str) -> str:
    """On one line, with single spaces, and without what would control the terminal."""
    return printable(" ".join(text.split()))


def encodable(line: str) -> str:
    """In what the terminal can show."""
    encoding = sys.stdout.encoding or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)
