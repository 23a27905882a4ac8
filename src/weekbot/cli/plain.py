"""Text of others', such as a channel's name or what Discord says, as it may be written to a terminal."""

import sys


def one_line(text: str) -> str:
    """On one line, and without what would control the terminal."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))


def encodable(line: str) -> str:
    """In what the terminal can show."""
    encoding = sys.stdout.encoding or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)
