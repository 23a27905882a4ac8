"""The roles and users that a message actually pings."""

import re

from .payload import Payload

ROLE = re.compile(r"<@&(\d+)>")
USER = re.compile(r"<@!?(\d+)>")
EVERYONE = re.compile(r"@(everyone|here)\b")


def pinged_roles(text: str, allowed: Payload | None) -> list[int]:
    """Return the roles that a text mentions and may ping."""
    return _allowed(ROLE, "roles", text, allowed)


def pinged_users(text: str, allowed: Payload | None) -> list[int]:
    """Return the users that a text mentions and may ping."""
    return _allowed(USER, "users", text, allowed)


def pings_everyone(text: str, allowed: Payload | None) -> bool:
    """Return whether a text pings everyone."""
    return bool(EVERYONE.search(text)) and (allowed is None or "everyone" in allowed.get("parse", []))


def _allowed(pattern: re.Pattern[str], kind: str, text: str, allowed: Payload | None) -> list[int]:
    found = [int(found) for found in dict.fromkeys(pattern.findall(text))]
    if allowed is None or kind in allowed.get("parse", []):
        return found
    chosen = {int(each) for each in allowed.get(kind, [])}
    return [each for each in found if each in chosen]
