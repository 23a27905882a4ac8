"""Checks of inline Markdown: finds what Discord doesn't show as it is meant, and what misleads readers."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from markdown_it.token import Token

from weekbot.content.characters import mixed_words
from weekbot.content.markdown import INLINE, one_line
from weekbot.content.web_address import address_problem

NO_HTML = "Discord doesn't show HTML; write Markdown, or put it into code"
_NOT_LATIN = re.compile(r"[^\x00-\u036f\u1e00-\u1eff\u2000-\u20ff]")
_MAX_LENGTH = 2_000  # characters, more than any part of a topic may have; parsing takes quadratic time
_BARE_LINK = re.compile(r"[a-z][a-z0-9+.-]{0,20}://\S+", re.IGNORECASE)
_TRAILING_PUNCTUATION = ".,;:!?)"
# The top-level domains of nearly all well-known hosts. With others, most names are no hosts: `discord.py`, `torch.nn`.
_TOP_LEVEL_DOMAINS = (
    "com|org|net|edu|gov|int|info|biz|io|dev|app|ai|co|me|tv|gg|xyz|cloud|page|site|online|example"
    "|us|eu|uk|de|fr|es|pt|br|ch|nl|ru|cn|jp"
)
_HOST = re.compile(rf"(?:[\w-]{{1,63}}\.){{1,10}}(?:{_TOP_LEVEL_DOMAINS})(?![\w-])(?:/\S*)?", re.IGNORECASE)
_END_OF_LINK_IN_CODE = re.compile(r"[^\[\]]*\]\(")  # Discord looks for links first, and would end a link's text here


class InlineProblem(NamedTuple):
    piece: str  # the part of the text that the message is about
    message: str


def inline_problems(text: str, environment: dict[str, Any]) -> Iterator[InlineProblem]:
    """Yield each problem once; `environment` is the block parser's. Overlong texts are reported elsewhere."""
    if _is_plain(text) or (len(text) > _MAX_LENGTH and len(one_line(text)) > _MAX_LENGTH):
        return
    children = INLINE.parseInline(text, environment)[0].children or []
    links = list(_links(children))
    bare = [match[0].rstrip(_TRAILING_PUNCTUATION) for match in _BARE_LINK.finditer(_outside_links(children))]
    urls = [*(url for url, _ in links), *bare]
    yield from _not_displayed(children)
    yield from _address_problems(text, environment, urls)
    yield from dict.fromkeys(problem for link in links for problem in _misleading_text(*link))
    yield from dict.fromkeys(problem for child in children for problem in _mixed_words(child))


def _is_plain(text: str) -> bool:
    """Return whether there is nothing to check, as in most texts: parsing is slow."""
    marked = any(mark in text for mark in ("<", "](", "![", "://"))
    return not marked and (text.isascii() or not _NOT_LATIN.search(text))


def _not_displayed(children: Sequence[Token]) -> Iterator[InlineProblem]:
    if any(child.type == "image" for child in children):
        yield InlineProblem("![", "images aren't allowed in a topic; link to the page they are on")
    if html := next((child.content for child in children if child.type == "html_inline"), None):
        yield InlineProblem(html, NO_HTML)
    # Discord may find a link here, with another text or address.
    in_code = any(child.type == "code_inline" and _END_OF_LINK_IN_CODE.match(child.content) for child in children)
    if in_code or "](" in _outside_links(children):
        yield InlineProblem("](", "write a link as [text](https://example.org), without stray brackets or backticks")


def _address_problems(text: str, environment: dict[str, Any], urls: Sequence[str]) -> Iterator[InlineProblem]:
    by_reference = "references" in environment  # addresses are elsewhere then
    for url in dict.fromkeys(urls):
        problem = address_problem(url)
        if not problem and not by_reference and url not in text:
            # Discord resolves no entities, so its link would lead elsewhere.
            problem = "must be written without escapes"
        if problem:
            yield InlineProblem(url, f"the link {url} {problem}")


def _links(children: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """Yield each link's address, and its title and text as readers see them."""
    url, seen = None, ""
    for child in children:
        if child.type == "link_open":
            url, seen = str(child.attrGet("href")), f"{child.attrGet('title') or ''} "
        elif child.type == "link_close" and url is not None:
            yield url, seen
            url = None
        else:
            seen += child.content or " " * child.type.endswith("break")


def _outside_links(children: Sequence[Token]) -> str:
    """Return the text that Discord searches for addresses, in which opening marks can be part of one."""
    text, depth = "", 0
    for child in children:
        depth -= child.type == "link_close"
        if not depth:
            text += _mark(child) if child.type != "text" else child.content
        depth += child.type == "link_open"
    return text


def _mark(child: Token) -> str:
    if child.type in ("link_open", "code_inline"):
        return "[" if child.type == "link_open" else "`"
    return child.markup if child.nesting and child.type != "link_close" else " "


def _misleading_text(url: str, seen: str) -> Iterator[InlineProblem]:
    if address_problem(url):
        return
    seen = unicodedata.normalize("NFKC", seen).replace("。", ".")  # other full stops can't hide a host
    addresses = [match[0] for match in _BARE_LINK.finditer(seen)]
    hosts = [match[0] for match in _HOST.finditer(_BARE_LINK.sub(" ", seen))]
    for shown in (address.rstrip(_TRAILING_PUNCTUATION) for address in addresses + hosts):
        if not _is_same(shown, url):
            message = f"the link shows {shown}, but leads to {url}; show that address, or use words"
            yield InlineProblem(shown, message)


def _mixed_words(child: Token) -> Iterator[InlineProblem]:
    """Find words of mixed scripts, except in addresses, which have problems of their own."""
    if child.type == "code_inline":
        yield from map(InlineProblem._make, mixed_words(child.content))
    elif child.type == "text":
        yield from map(InlineProblem._make, mixed_words(_BARE_LINK.sub(" ", child.content), prose=True))


def _is_same(shown: str, url: str) -> bool:
    if "://" in shown:
        return shown.rstrip("/") == url.rstrip("/")
    host, _, path = shown.rstrip("/").partition("/")
    target, rest = urlsplit(url).hostname or "", url.partition("://")[2].partition("/")[2].rstrip("/")
    return host.lower().removeprefix("www.") == target.removeprefix("www.") and path in ("", rest)
