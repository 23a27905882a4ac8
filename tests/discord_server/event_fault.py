"""What happens to an event on its way to the bot; the world stays as it is.

Each function makes one description. Where and how often it happens is up to who uses it: `Gateway.mangle`, or a `Mix`
that draws it by chance. A path is a text of keys and indices such as `channels.0.position`; `*` is for each of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

HELLO: Final = "HELLO"
"""What a connection begins with is treated as an event, too."""

UNKNOWN_GUILD: Final = 999_999_999_999_999_999


@dataclass(frozen=True)
class Event:
    """An event as one shard is about to be told it; guild 0 is for those of no guild."""

    name: str
    data: Any
    guild_id: int = 0
    shard: int = 0

    @property
    def key(self) -> str:
        """Return what chance depends on."""
        return f"{self.name} {self.guild_id} {self.shard}"

    @property
    def in_sequence(self) -> bool:
        """Tell whether it is one of a session's numbered events."""
        return self.name != HELLO


Change: TypeAlias = Callable[[Event], Event]
Damage: TypeAlias = Callable[[str], str]


def _same_event(event: Event) -> Event:
    return event


def same_text(text: str) -> str:
    """Leave a frame's text as it is."""
    return text


def _any(_event: Event) -> bool:
    return True


@dataclass(frozen=True)
class EventFault:
    """What happens to an event.

    It is changed, and sent so many times, after so many later ones of the session if it is `late`. Whoever resumes is
    sent it again as it was sent first, but for the damage to its text, which came about on the way.
    """

    kind: str
    change: Change = _same_event
    times: int = 1
    late: int = 0
    damage: Damage = same_text
    meant: Callable[[Event], bool] = _any

    def fits(self, event: Event) -> bool:
        """Tell whether it can happen to an event."""
        return self.meant(event) and (event.in_sequence or not self.late)

    def changed(self, event: Event) -> Event:
        """Return the event that is sent, of which the world has no part."""
        return self.change(replace(event, data=deepcopy(event.data)))


# Parts of an event


def without(path: str) -> EventFault:
    """Leave a field out."""

    def remove(container: Any, key: Any) -> None:
        del container[key]

    return _at(f"without {path}", path, remove)


def with_value(path: str, value: Any) -> EventFault:
    """Let a field have another value, such as None."""

    def put(container: Any, key: Any) -> None:
        container[key] = deepcopy(value)

    return _at(f"{path} is {json.dumps(value)}", path, put)


def mistyped(path: str) -> EventFault:
    """Let a field have a value of another type than it has."""

    def put(container: Any, key: Any) -> None:
        container[key] = "text" if isinstance(container[key], dict | list) else ["list"]

    return _at(f"{path} of another type", path, put)


def _at(kind: str, path: str, do: Callable[[Any, Any], None]) -> EventFault:
    keys = path.split(".")

    def change(event: Event) -> Event:
        for container, key in reversed(list(_places(event.data, keys))):
            do(container, key)
        return event

    return EventFault(kind, change, meant=lambda event: any(_places(event.data, keys)))


def _places(node: Any, keys: list[str]) -> Iterator[tuple[Any, Any]]:
    for key in _keys(node, keys[0]):
        if keys[1:]:
            yield from _places(node[key], keys[1:])
        else:
            yield node, key


def _keys(node: Any, key: str) -> list[Any]:
    if isinstance(node, dict):
        return list(node) if key == "*" else [key] if key in node else []
    if isinstance(node, list):
        return [index for index in range(len(node)) if key in ("*", str(index))]
    return []


def paths(data: Any, start: str = "") -> Iterator[str]:
    """Yield the paths of all parts of an event's data, so that a test can spoil each of them."""
    named = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in named:
        yield f"{start}{key}"
        yield from paths(value, f"{start}{key}.")


def everywhere(data: Any) -> list[EventFault]:
    """Return what can be wrong with one part of such data: it is left out, null, or of another type."""
    return [fault for path in paths(data) for fault in (without(path), with_value(path, None), mistyped(path))]


# Events as a whole


def renamed(name: str = "SOMETHING_NEW") -> EventFault:
    """Send it as an event that no library knows."""
    return EventFault(f"renamed {name}", lambda event: replace(event, name=name), meant=lambda event: event.in_sequence)


def of_unknown_guild(guild_id: int = UNKNOWN_GUILD) -> EventFault:
    """Let it be about a guild that the bot does not know."""

    def change(event: Event) -> Event:
        return replace(event, data=event.data | {_guild_key(event): str(guild_id)})

    def meant(event: Event) -> bool:
        return isinstance(event.data, dict) and _guild_key(event) in event.data

    return EventFault("of an unknown guild", change, meant=meant)


def _guild_key(event: Event) -> str:
    return "id" if event.name in ("GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE") else "guild_id"


def duplicated() -> EventFault:
    """Send it twice."""
    return EventFault("twice", times=2, meant=lambda event: event.in_sequence)


def lost() -> EventFault:
    """Do not send it."""
    return EventFault("lost", times=0)


def late(by: int = 1) -> EventFault:
    """Send it out of order, after so many later events of the session; never, if there are none."""
    return EventFault(f"late by {by}", late=by)


# Frames


def truncated() -> EventFault:
    """Send half of its text, which is no JSON then."""
    return EventFault("frame cut", damage=lambda text: text[: len(text) // 2])


def not_json(text: str = "<html>") -> EventFault:
    """Send another text in its place."""
    return EventFault("frame is no JSON", damage=lambda _: text)
