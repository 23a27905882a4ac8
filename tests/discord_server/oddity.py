"""Objects that are sent otherwise than Discord documents them, and that are there until they are taken away.

What is changed is what is sent, after it was checked against Discord's document; the world stays as it is.
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
    """The changes, by the ids of the messages that they are made to."""

    changes: dict[int, Change] = field(default_factory=dict)

    def apply(self, node: Any) -> Any:
        """Return JSON with the changes, in whatever it lists or nests."""
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
    """Let a message have a thread that is null."""
    return message | {"thread": None}


def unknown_components(message: Payload) -> Payload:
    """Let a message have components that no library knows."""
    return message | {"components": [{"type": UNKNOWN_COMPONENT, "id": 1, "components": [{"type": UNKNOWN_COMPONENT}]}]}


def unknown_kind(message: Payload) -> Payload:
    """Let a message be of a type that no library knows."""
    return message | {"type": 250}


def bare_author(message: Payload) -> Payload:
    """Leave out of an author all but the id."""
    return message | {"author": {"id": message["author"]["id"]}}


def no_author(message: Payload) -> Payload:
    """Leave out the author."""
    return {key: value for key, value in message.items() if key != "author"}


def webhook_author(message: Payload) -> Payload:
    """Let a message be a webhook's, whose author has few fields and is nobody's account."""
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
"""All of them, by what they are called in reports."""
