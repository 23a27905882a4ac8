"""Objects that are permanently sent in an undocumented form.

A response is changed after it was checked against Discord's OpenAPI document; the world isn't affected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from .payload import Payload

Change: TypeAlias = Callable[[Payload], Payload]

UNKNOWN_COMPONENT: Final = 250


@dataclass
class Oddities:
    """The changes by message ID."""

    changes: dict[int, Change] = field(default_factory=dict)

    def apply(self, node: Any) -> Any:
        """Return JSON with the changes applied at any depth."""
        if not self.changes:
            return node
        if isinstance(node, list):
            return [self.apply(each) for each in node]
        if isinstance(node, dict):
            return self._change(node)({key: self.apply(value) for key, value in node.items()})
        return node

    def _change(self, node: Payload) -> Change:
        is_message = "channel_id" in node and str(node.get("id")).isdigit()
        return self.changes.get(int(node["id"]), _unchanged) if is_message else _unchanged


def _unchanged(payload: Payload) -> Payload:
    return payload


def null_thread(message: Payload) -> Payload:
    """Set a message's thread to null."""
    return message | {"thread": None}


def unknown_components(message: Payload) -> Payload:
    """Give a message components that no library knows."""
    return message | {"components": [{"type": UNKNOWN_COMPONENT, "id": 1, "components": [{"type": UNKNOWN_COMPONENT}]}]}


def unknown_kind(message: Payload) -> Payload:
    """Give a message a type that no library knows."""
    return message | {"type": 250}


def bare_author(message: Payload) -> Payload:
    """Reduce the author to the ID."""
    return message | {"author": {"id": message["author"]["id"]}}


def no_author(message: Payload) -> Payload:
    """Omit the author."""
    return {key: value for key, value in message.items() if key != "author"}


def webhook_author(message: Payload) -> Payload:
    """Give a message a webhook as its author, which has few fields and isn't an account."""
    author = {"id": message["author"]["id"], "username": "Captain Hook", "avatar": None, "discriminator": "0000"}
    return message | {"author": author | {"bot": True}, "webhook_id": author["id"]}


MESSAGE_ODDITIES: Final[dict[str, Change]] = {
    "thread is null": null_thread,
    "unknown components": unknown_components,
    "unknown type": unknown_kind,
    "author has just an id": bare_author,
    "no author": no_author,
    "by a webhook": webhook_author,
}
"""All changes of messages, by their names in reports."""
