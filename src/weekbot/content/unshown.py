"""What Discord would not draw as it was meant, or nobody would see."""

import re
from collections.abc import Iterator
from typing import Any

from markdown_it.token import Token

from weekbot.content.inline import NO_HTML, faults
from weekbot.content.located import Finding
from weekbot.content.problem import Position
from weekbot.content.scripts import mixed_in_code

NO_REFERENCES = "Discord doesn't support reference links; write [text](address)"


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
        if token.type == "inline":
            for fault in faults(token.content, environment):
                yield Finding(_find(fault.piece, lines[start:end], first_line + start), fault.message)
        if token.type == "fence" and not token.content.isascii():
            yield from _mixed(lines[start + 1 : end], first_line + start + 1)
    for reference in environment.get("references", {}).values():
        yield Finding(Position(first_line + reference["map"][0]), NO_REFERENCES)


def _block(token: Token) -> str | None:
    if token.type == "heading_open" and (token.tag != "h2" or token.level):
        return "only ## headings are allowed in a topic"
    if token.type == "html_block":
        return NO_HTML
    return None


def _mixed(code: list[str], first_line: int) -> Iterator[Finding]:
    for number, line in enumerate(code, first_line):
        for word, message in mixed_in_code(line):
            yield Finding(Position(number, line.index(word) + 1), message)


def _find(what: str, lines: list[str], first_line: int) -> Position:
    """Where it stands in the lines; their beginning where it is written another way."""
    for line, text in enumerate(lines, first_line):
        if what in text:
            return Position(line, text.index(what) + 1)
    return Position(first_line)
