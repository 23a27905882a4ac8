"""Faults of events on their way to the bot; the world isn't affected.

Each function creates one fault. Its user determines when it happens: `Gateway.mangle`, or a `Mix`
that draws it randomly. A path consists of keys and indices, for example `channels.0.position`; `*` matches all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

HELLO: Final = "HELLO"
"""A connection's first payload is treated as an event, too."""

UNKNOWN_GUILD: Final = 999_999_999_999_999_999


@dataclass(frozen=True)
class Event:
    """An event for one shard; those without a guild have guild 0."""

    name: str
    data: Any
    guild_id: int = 0
    shard: int = 0

    @property
    def key(self) -> str:
        """Return the key on which random faults depend."""
        return f"{self.name} {self.guild_id} {self.shard}"

    @property
    def in_sequence(self) -> bool:
        """Return whether it is one of a session's numbered events."""
        return self.name != HELLO


Change: TypeAlias = Callable[[Event], Event]
Damage: TypeAlias = Callable[[str], str]


def _same_event(event: Event) -> Event:
    return event


def same_text(text: str) -> str:
    """Return a frame's text unchanged."""
    return text


def _any(_event: Event) -> bool:
    return True


@dataclass(frozen=True)
class EventFault:
    """A fault of an event.

    The event is changed and sent `times` times; if it is `late`, after that number of later events of the session.
    A RESUME replays the changed event, but without the `damage` to its text, which occurs on the way.
    """

    kind: str
    change: Change = _same_event
    times: int = 1
    late: int = 0
    damage: Damage = same_text
    matches: Callable[[Event], bool] = _any

    def applies_to(self, event: Event) -> bool:
        """Return whether the fault can happen to an event."""
        return self.matches(event) and (event.in_sequence or not self.late)

    def changed(self, event: Event) -> Event:
        """Return the changed copy of the event that is sent."""
        return self.change(replace(event, data=deepcopy(event.data)))


# Fields


def without(path: str) -> EventFault:
    """Omit a field."""

    def remove(container: Any, key: Any) -> None:
        del container[key]

    return _at(f"without {path}", path, remove)


def with_value(path: str, value: Any) -> EventFault:
    """Give a field another value, for example None."""

    def put(container: Any, key: Any) -> None:
        container[key] = deepcopy(value)

    return _at(f"{path} is {json.dumps(value)}", path, put)


def mistyped(path: str) -> EventFault:
    """Give a field a value of another type."""

    def put(container: Any, key: Any) -> None:
        container[key] = "text" if isinstance(container[key], dict | list) else ["list"]

    return _at(f"{path} of another type", path, put)


def _at(kind: str, path: str, do: Callable[[Any, Any], None]) -> EventFault:
    keys = path.split(".")

    def change(event: Event) -> Event:
        for container, key in reversed(list(_places(event.data, keys))):
            do(container, key)
        return event

    return EventFault(kind, change, matches=lambda event: any(_places(event.data, keys)))


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
    """Yield the paths of all parts of an event's data, so that a test can damage each of them."""
    named = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in named:
        yield f"{start}{key}"
        yield from paths(value, f"{start}{key}.")


def everywhere(data: Any) -> list[EventFault]:
    """Return all faults of one part of the data: it is missing, null, or of another type."""
    return [fault for path in paths(data) for fault in (without(path), with_value(path, None), mistyped(path))]


# Whole events


def renamed(name: str = "SOMETHING_NEW") -> EventFault:
    """Send the event with a name that no library knows."""
    return EventFault(
        f"renamed {name}", lambda event: replace(event, name=name), matches=lambda event: event.in_sequence
    )


def of_unknown_guild(guild_id: int = UNKNOWN_GUILD) -> EventFault:
    """Let the event refer to a guild that the bot doesn't know."""

    def change(event: Event) -> Event:
        return replace(event, data=event.data | {_guild_key(event): str(guild_id)})

    def matches(event: Event) -> bool:
        return isinstance(event.data, dict) and _guild_key(event) in event.data

    return EventFault("of an unknown guild", change, matches=matches)


def _guild_key(event: Event) -> str:
    return "id" if event.name in ("GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE") else "guild_id"


def duplicated() -> EventFault:
    """Send the event twice."""
    return EventFault("twice", times=2, matches=lambda event: event.in_sequence)


def lost() -> EventFault:
    """Don't send the event."""
    return EventFault("lost", times=0)


def late(by: int = 1) -> EventFault:
    """Send the event after `by` later events of the session, or never if there are fewer."""
    return EventFault(f"late by {by}", late=by)


# Frames


def truncated() -> EventFault:
    """Send half of the text, which isn't valid JSON."""
    return EventFault("frame cut", damage=lambda text: text[: len(text) // 2])


def not_json(text: str = "<html>") -> EventFault:
    """Send another text instead."""
    return EventFault("frame is no JSON", damage=lambda _: text)
