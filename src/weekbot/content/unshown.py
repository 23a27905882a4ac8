"""What Discord would not draw as it was meant, or nobody would see."""

import re
from collections.abc import Iterator
from typing import Any

from markdown_it.token import Token

from weekbot.content.inline import NO_HTML, faults
from weekbot.content.located import Finding
from weekbot.content.problem import Position

NO_REFERENCES = "Discord knows no links by reference; write [text](address)"


def unshown(text: str, tokens: list[Token], environment: dict[str, Any], first_line: int) -> Iterator[Finding]:
    """Findings in the Markdown below the front matter, whose first line is line `first_line` of its file.

    `tokens` are the text's blocks, `environment` is what their parsing has left.
    """
    before = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    if before.strip():
        blank = len(before) - len(before.lstrip("\n"))
        yield Finding(Position(first_line + blank), "text before the first section")
    lines = text.split("\n")
    for token in tokens:
        start, end = token.map or (0, 0)
        if message := _block(token):
            yield Finding(Position(first_line + start), message)
        for fault in faults(token.content, environment) if token.type == "inline" else ():
            yield Finding(_find(fault.piece, lines[start:end], first_line + start), fault.message)
    for reference in environment.get("references", {}).values():
        yield Finding(Position(first_line + reference["map"][0]), NO_REFERENCES)


def _block(token: Token) -> str | None:
    if token.type == "heading_open" and (token.tag != "h2" or token.level):
        return "only ## headings belong into a topic"
    if token.type == "html_block":
        return NO_HTML
    return None


def _find(what: str, lines: list[str], first_line: int) -> Position:
    """Where it stands in the lines; their beginning where it is written another way."""
    for line, text in enumerate(lines, first_line):
        if what in text:
            return Position(line, text.index(what) + 1)
    return Position(first_line)
