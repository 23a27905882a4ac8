"""A linter for the Markdown of topics: finds what Discord doesn't show as it is meant."""

import re
from collections.abc import Iterator
from typing import Any

from markdown_it.token import Token

from weekbot.content.characters import mixed_words
from weekbot.content.inline_markdown import NO_HTML, inline_problems
from weekbot.content.loading.source_map import LocatedProblem
from weekbot.content.problems import Position

NO_REFERENCES = "Discord doesn't support reference links; write [text](address)"


def lint(text: str, tokens: list[Token], environment: dict[str, Any], first_line: int) -> Iterator[LocatedProblem]:
    """Check the Markdown that begins in line `first_line`; `tokens` and `environment` are the block parser's."""
    before = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    if before.strip():
        blank = len(before) - len(before.lstrip("\n"))
        yield LocatedProblem("text before the first section", Position(first_line + blank))
    lines = text.split("\n")
    for token in tokens:
        start, end = token.map or (0, 0)
        if message := _block_problem(token):
            yield LocatedProblem(message, Position(first_line + start))
        if token.type == "inline":
            for problem in inline_problems(token.content, environment):
                yield LocatedProblem(problem.message, _find(problem.piece, lines[start:end], first_line + start))
        if token.type == "fence" and not token.content.isascii():
            yield from _mixed_words(lines[start + 1 : end], first_line + start + 1)
    for reference in environment.get("references", {}).values():
        yield LocatedProblem(NO_REFERENCES, Position(first_line + reference["map"][0]))


def _block_problem(token: Token) -> str | None:
    if token.type == "heading_open" and (token.tag != "h2" or token.level):
        return "only ## headings are allowed in a topic"
    return NO_HTML if token.type == "html_block" else None


def _mixed_words(code: list[str], first_line: int) -> Iterator[LocatedProblem]:
    for number, line in enumerate(code, first_line):
        for word, message in mixed_words(line):
            yield LocatedProblem(message, Position(number, line.index(word) + 1))


def _find(piece: str, lines: list[str], first_line: int) -> Position:
    """Return the position of the piece, or of the first line if it is written in another way."""
    for line, text in enumerate(lines, first_line):
        if piece in text:
            return Position(line, text.index(piece) + 1)
    return Position(first_line)
