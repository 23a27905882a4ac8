"""Text of others as it can be shown: nothing in it controls a terminal, and nothing hides."""

import unicodedata


def printable(text: str) -> str:
    r"""On one line, with an escape such as `\x1b` or `\u202e` for each character that doesn't print."""
    if text.isprintable():
        return text
    return "".join(character if _prints(character) else _escape(character) for character in text)


def printable_lines(text: str) -> str:
    """The same, with its line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def _prints(character: str) -> bool:
    """Python counts no space but the ordinary one as printable; French needs the one that doesn't break."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
