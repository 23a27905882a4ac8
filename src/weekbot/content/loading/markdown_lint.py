"""What Discord would not draw as it was meant, or nobody would see."""

import re
from collections.abc import Iterator
from typing import Any

from markdown_it.token import Token

from weekbot.content.loading.inline_markdown import NO_HTML, inline_problems
from weekbot.content.loading.mixed_scripts import mixed_words_in_code
from weekbot.content.loading.source_map import LocatedProblem
from weekbot.content.problems import Position

NO_REFERENCES = "Discord knows no links by reference; write [text](address)"


def lint(text: str, tokens: list[Token], environment: dict[str, Any], first_line: int) -> Iterator[LocatedProblem]:
    """Findings in the Markdown below the front matter, whose first line is line `first_line` of its file.

    `tokens` are the text's blocks, `environment` is what their parsing has left.
    """
    before = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    if before.strip():
        blank = len(before) - len(before.lstrip("\n"))
        yield LocatedProblem(Position(first_line + blank), "text before the first section")
    lines = text.split("\n")
    for token in tokens:
        start, end = token.map or (0, 0)
        if message := _block(token):
            yield LocatedProblem(Position(first_line + start), message)
        if token.type == "inline":
            for fault in inline_problems(token.content, environment):
                yield LocatedProblem(_find(fault.piece, lines[start:end], first_line + start), fault.message)
        if token.type == "fence" and not token.content.isascii():
            yield from _mixed(lines[start + 1 : end], first_line + start + 1)
    for reference in environment.get("references", {}).values():
        yield LocatedProblem(Position(first_line + reference["map"][0]), NO_REFERENCES)


def _block(token: Token) -> str | None:
    if token.type == "heading_open" and (token.tag != "h2" or token.level):
        return "only ## headings belong into a topic"
    if token.type == "html_block":
        return NO_HTML
    return None


def _mixed(code: list[str], first_line: int) -> Iterator[LocatedProblem]:
    for number, line in enumerate(code, first_line):
        for word, message in mixed_words_in_code(line):
            yield LocatedProblem(Position(number, line.index(word) + 1), message)


def _find(what: str, lines: list[str], first_line: int) -> Position:
    """Where it stands in the lines; their beginning where it is written another way."""
    for line, text in enumerate(lines, first_line):
        if what in text:
            return Position(line, text.index(what) + 1)
    return Position(first_line)
