"""Addresses: one rule for fields and for links in Markdown, so that an address leads where it seems to."""

import re

from weekbot.content.characters import named

_SCHEME = "https://"
_STRANGE = re.compile(r"[^\x21-\x7e]|[\\\"'<>\[\]`{}|^]")
_AUTHORITY = re.compile(r"https://([^/?#]*)")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)+(?!\d+$){_LABEL}", re.IGNORECASE)
_PUNYCODE = re.compile(r"(?:^|\.)xn--", re.IGNORECASE)
_LAST_PORT = 2**16 - 1


def fault_of(address: str) -> str | None:
    """What is wrong with the address, as the end of a sentence with its cure; None if nothing is."""
    authority = _AUTHORITY.match(address)
    if authority is None:
        return f"must start with {_SCHEME}"
    if strange := _STRANGE.search(address):
        cure = "write the host in ASCII letters" if strange.start() < authority.end() else "percent-encode it"
        return f"must not contain {named(strange[0])}; {cure}"
    if "@" in authority[1]:
        return "must not contain a user before the host; remove everything before the @"
    return _fault_of_host(*authority[1].partition(":"))


def _fault_of_host(host: str, colon: str, port: str) -> str | None:
    if not _HOST.fullmatch(host):
        return "must name a host such as example.org"
    if _PUNYCODE.search(host):
        return "must have a host of ASCII letters; xn-- stands for others, which can look the same"
    if colon and not (port.isdigit() and 0 < int(port[:6]) <= _LAST_PORT):
        return f"must have a port from 1 to {_LAST_PORT}, or none"
    return None
