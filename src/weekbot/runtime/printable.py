"""Makes untrusted text safe to display: control and invisible characters are escaped."""

import unicodedata


def printable(text: str) -> str:
    r"""Return the text on one line, with each unprintable character as an escape such as `\x1b` or `\u202e`."""
    if text.isprintable():
        return text
    # To Python, only the ordinary space is printable; French needs the no-break spaces (category Zs).
    return "".join(
        each if each.isprintable() or unicodedata.category(each) == "Zs" else each.encode("unicode_escape").decode()
        for each in text
    )


def printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))
