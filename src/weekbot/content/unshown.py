"""What Discord would not draw as it was meant, or nobody would see."""

import re
from collections.abc import Iterator
from typing import Any

from markdown_it.token import Token

from weekbot.content.address import fault_of
from weekbot.content.located import Finding
from weekbot.content.markdown import INLINE
from weekbot.content.problem import Position

NO_REFERENCES = "Discord knows no links by reference; write [text](address)"
_MAY_BE_MORE_THAN_TEXT = re.compile(r"<|\]\(|!\[|://")  # most is not, and parsing it takes a third of the time
_BARE_LINK = re.compile(r"[a-z][a-z0-9+.-]{0,20}://\S+", re.IGNORECASE)


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
        if token.type == "inline" and _MAY_BE_MORE_THAN_TEXT.search(token.content):
            children = INLINE.parseInline(token.content, environment)[0].children or []
            yield from _inline(children, lines[start:end], first_line + start)
    for reference in environment.get("references", {}).values():
        yield Finding(Position(first_line + reference["map"][0]), NO_REFERENCES)


def _block(token: Token) -> str | None:
    if token.type == "heading_open" and (token.tag != "h2" or token.level):
        return "only ## headings belong into a topic"
    if token.type == "html_block":
        return "HTML does not show in Discord"
    return None


def _inline(children: list[Token], lines: list[str], first_line: int) -> Iterator[Finding]:
    if any(child.type == "image" for child in children):
        yield Finding(Position(first_line), "pictures do not belong into a topic")
    html = next((child.content for child in children if child.type == "html_inline"), None)
    if html:
        yield Finding(_find(html, lines, first_line), "HTML does not show in Discord")
    for url in dict.fromkeys(url for child in _outside_links(children) for url in _urls(child)):
        if fault := fault_of(url):
            yield Finding(_find(url, lines, first_line), f"the link {url} {fault}")
    for text, url in _disagreeing(children):
        yield Finding(_find(text, lines, first_line), f"the link says {text}, but leads to {url}")


def _urls(child: Token) -> list[str]:
    """Addresses in a piece of text, written as links or bare; code holds none."""
    if child.type == "link_open":
        return [str(child.attrGet("href"))]
    if child.type != "text":
        return []
    return [match[0].rstrip(".,;:!?)") for match in _BARE_LINK.finditer(child.content)]


def _outside_links(children: list[Token]) -> Iterator[Token]:
    """The pieces without the texts of links, whose addresses count."""
    depth = 0
    for child in children:
        depth -= child.type == "link_close"
        if not depth:
            yield child
        depth += child.type == "link_open"


def _disagreeing(children: list[Token]) -> Iterator[tuple[str, str]]:
    """Links whose text is an address, and another one than theirs."""
    url = None
    for child in children:
        if child.type == "link_open":
            url = str(child.attrGet("href"))
        elif child.type == "link_close":
            url = None
        elif url and (said := _BARE_LINK.search(child.content)) and said[0].rstrip("/") != url.rstrip("/"):
            yield said[0], url


def _find(what: str, lines: list[str], first_line: int) -> Position:
    """Where it stands in the lines; their beginning where it is written another way."""
    for line, text in enumerate(lines, first_line):
        if what in text:
            return Position(line, text.index(what) + 1)
    return Position(first_line)
