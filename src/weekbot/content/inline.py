"""Inline Markdown, in bodies and in fields that cards draw: what Discord would not show as meant, and what misleads."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from markdown_it.token import Token

from weekbot.content.address import fault_of
from weekbot.content.markdown import INLINE, one_line
from weekbot.content.scripts import mixed_in_code, mixed_in_prose

NO_HTML = "Discord doesn't show HTML; write Markdown, or put it into code"
_NOT_LATIN = re.compile(r"[^\x00-\u036f\u1e00-\u1eff\u2000-\u20ff]")
_MOST = 2_000  # characters, of which no part of a topic may have as many; parsing takes the square of them
_BARE_LINK = re.compile(r"[a-z][a-z0-9+.-]{0,20}://\S+", re.IGNORECASE)
_AFTER_A_LINK = ".,;:!?)"
# The endings of nearly all hosts that people know. Of others, such as `discord.py` and `torch.nn`, most are no hosts.
_ENDINGS = (
    "com|org|net|edu|gov|int|info|biz|io|dev|app|ai|co|me|tv|gg|xyz|cloud|page|site|online|example"
    "|us|eu|uk|de|fr|es|pt|br|ch|nl|ru|cn|jp"
)
_HOST = re.compile(rf"(?:[\w-]{{1,63}}\.){{1,10}}(?:{_ENDINGS})(?![\w-])(?:/\S*)?", re.IGNORECASE)
_END_OF_A_LINK_IN_CODE = re.compile(r"[^\[\]]*\]\(")  # Discord looks for links first, and ends the text of one here


class Fault(NamedTuple):
    """What is wrong, and the piece of the text where it shows."""

    piece: str
    message: str


class _Link(NamedTuple):
    """A link's address, and what readers see of it: its text, and its title as they point at it."""

    url: str
    seen: str


def faults(text: str, environment: dict[str, Any] | None = None) -> Iterator[Fault]:
    """Each fault, once; `environment` is what the parsing of the blocks around the text has left.

    A text that is too long for any part of a topic is not looked at: its length is reported elsewhere.
    """
    if _is_plain(text) or (len(text) > _MOST and len(one_line(text)) > _MOST):
        return
    environment = environment or {}
    children = INLINE.parseInline(text, environment)[0].children or []
    links = list(_links(children))
    yield from _not_drawn(children)
    yield from _addresses(text, environment, [*(link.url for link in links), *_bare_links(children)])
    yield from dict.fromkeys(fault for link in links for fault in _disagreeing(link))
    yield from dict.fromkeys(fault for child in children for fault in _mixed(child))


def _is_plain(text: str) -> bool:
    """Whether there is nothing to look for, as in most texts: parsing takes long."""
    if "<" in text or "](" in text or "![" in text or "://" in text:
        return False
    return text.isascii() or not _NOT_LATIN.search(text)


def _not_drawn(children: Sequence[Token]) -> Iterator[Fault]:
    if any(child.type == "image" for child in children):
        yield Fault("![", "images aren't allowed in a topic; link to the page they are on")
    html = next((child.content for child in children if child.type == "html_inline"), None)
    if html:
        yield Fault(html, NO_HTML)
    # What is no link here may be one to Discord, with another text or address.
    in_code = any(child.type == "code_inline" and _END_OF_A_LINK_IN_CODE.match(child.content) for child in children)
    if in_code or "](" in _outside_links(children):
        yield Fault("](", "write a link as [text](https://example.org), without stray brackets or backticks")


def _addresses(text: str, environment: dict[str, Any], urls: Sequence[str]) -> Iterator[Fault]:
    by_reference = "references" in environment  # then addresses stand elsewhere
    for url in dict.fromkeys(urls):
        fault = fault_of(url)
        if not fault and not by_reference and url not in text:
            # Discord resolves no entities, and would lead to another address than the one that was checked.
            fault = "must be written without escapes"
        if fault:
            yield Fault(url, f"the link {url} {fault}")


def _links(children: Sequence[Token]) -> Iterator[_Link]:
    url, seen = None, ""
    for child in children:
        if child.type == "link_open":
            url, seen = str(child.attrGet("href")), f"{child.attrGet('title') or ''} "
        elif child.type == "link_close" and url is not None:
            yield _Link(url, seen)
            url = None
        else:
            seen += child.content or " " * child.type.endswith("break")


def _bare_links(children: Sequence[Token]) -> list[str]:
    """Addresses in the text outside links; code holds none."""
    return [match[0].rstrip(_AFTER_A_LINK) for match in _BARE_LINK.finditer(_outside_links(children))]


def _outside_links(children: Sequence[Token]) -> str:
    """The text as Discord looks through it for addresses: to it, what begins code or a link is part of one."""
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


def _disagreeing(link: _Link) -> Iterator[Fault]:
    """Addresses in a link's text that are not where it leads."""
    if fault_of(link.url):
        return
    seen = unicodedata.normalize("NFKC", link.seen).replace("。", ".")  # so that no other full stop hides a host
    addresses = [match[0] for match in _BARE_LINK.finditer(seen)]
    hosts = [match[0] for match in _HOST.finditer(_BARE_LINK.sub(" ", seen))]
    for said in (address.rstrip(_AFTER_A_LINK) for address in addresses + hosts):
        if not _is_same(said, link.url):
            yield Fault(said, f"the link says {said}, but leads to {link.url}; let it say where it leads, or use words")


def _mixed(child: Token) -> Iterator[Fault]:
    """Words of mixed scripts, but for those in addresses, which are reported whole."""
    if child.type == "code_inline":
        yield from map(Fault._make, mixed_in_code(child.content))
    elif child.type == "text":
        yield from map(Fault._make, mixed_in_prose(_BARE_LINK.sub(" ", child.content)))


def _is_same(said: str, url: str) -> bool:
    if "://" in said:
        return said.rstrip("/") == url.rstrip("/")
    host, _, path = said.rstrip("/").partition("/")
    there = urlsplit(url)
    rest = url.partition("://")[2].partition("/")[2].rstrip("/")
    return _plain(host) == _plain(there.hostname or "") and path in ("", rest)


def _plain(host: str) -> str:
    return host.lower().removeprefix("www.")
