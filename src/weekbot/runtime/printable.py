"""Makes untrusted text safe to display: control and invisible characters are escaped."""

import unicodedata


def printable(text: str) -> str:
    r"""Return the text on one line, with each unprintable character as an escape such as `\x1b` or `\u202e`."""
    if text.isprintable():
        return text
    return "".join(character if _is_printable(character) else _escape(character) for character in text)


def printable_lines(text: str) -> str:
    """Return printable text that keeps its line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def _is_printable(character: str) -> bool:
    # To Python, only the ordinary space is printable; French needs the no-break spaces.
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
