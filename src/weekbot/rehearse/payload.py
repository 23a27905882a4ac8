"""Parts of Discord's raw messages."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from weekbot.rehearse.finding import DeviatesError

Payload = dict[str, Any]

MOST_SHOWN = 3  # of what differs
# What a reader sees or a press leads to, by the keys of components and embeds.
_SHOWN = frozenset({"content", "label", "title", "description", "name", "value", "text", "url"})


def messages_in(answer: Any) -> Iterator[Payload]:
    """The messages of a list, or of a page of pins."""
    entries = answer["items"] if isinstance(answer, dict) else answer
    for entry in entries:
        yield entry.get("message", entry)


def message_in(answer: Any, message_id: int) -> Payload | None:
    return next((each for each in messages_in(answer) if each["id"] == str(message_id)), None)


def reference(message: Payload, key: str = "message_id") -> str | None:
    """The id of the message (or channel) that this one is about."""
    return (message.get("message_reference") or {}).get(key)


def texts(message: Payload) -> list[str]:
    """All that the message shows: its content, embeds and components."""
    shown = {key: message.get(key) for key in ("content", "embeds", "components")}
    return [value for key, value in _leaves(shown) if key in _SHOWN and value]


def require_same(what: str, sent: Iterable[str], shown: Iterable[str]) -> None:
    """Whatever their order. Raises DeviatesError."""
    expected, found = Counter(sent), Counter(shown)
    differing = [f"{short(each)} is missing" for each in expected - found]
    differing += [f"{short(each)} is new" for each in found - expected]
    if differing:
        raise DeviatesError(f"{what} differ: {'; '.join(differing[:MOST_SHOWN])}")


def short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The texts in a tree of JSON, each with its key."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, key)
    elif isinstance(node, str):
        yield key, node
