"""The rules for addresses, in fields and in Markdown links, which keep links from misleading readers."""

import re

from weekbot.content.characters import character_name

_SCHEME = "https://"
_FORBIDDEN = re.compile(r"[^\x21-\x7e]|[\\\"'<>\[\]`{}|^]")
_AUTHORITY = re.compile(r"https://([^/?#]*)")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)+(?!\d+$){_LABEL}", re.IGNORECASE)
_PUNYCODE = re.compile(r"(?:^|\.)xn--", re.IGNORECASE)
_LAST_PORT = 2**16 - 1


def address_problem(address: str) -> str | None:
    """Return what is wrong with the address and how to fix it, as the end of a sentence, or None."""
    authority = _AUTHORITY.match(address)
    if authority is None:
        return f"must start with {_SCHEME}"
    if forbidden := _FORBIDDEN.search(address):
        cure = "write the host in ASCII letters" if forbidden.start() < authority.end() else "percent-encode it"
        return f"must not contain {character_name(forbidden[0])}; {cure}"
    if "@" in authority[1]:
        return "must not contain a user before the host; remove everything before the @"
    host, colon, port = authority[1].partition(":")
    if not _HOST.fullmatch(host):
        return "must name a host such as example.org"
    if _PUNYCODE.search(host):
        return "must have a host of ASCII letters; xn-- stands for others, which can look the same"
    if colon and not (port.isdigit() and 0 < int(port[:6]) <= _LAST_PORT):
        return f"must have a port from 1 to {_LAST_PORT}, or none"
    return None
