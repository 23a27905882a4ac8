"""Functions on Discord's raw messages."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from weekbot.rehearse.check_result import expect

Payload = dict[str, Any]

MOST_SHOWN = 3  # differences
# The keys of components and embeds under which people read something, or a press opens it.
_SHOWN = frozenset({"content", "label", "title", "description", "name", "value", "text", "url"})


def messages_in(answer: Any) -> Iterator[Payload]:
    """Yield the messages of a list, or of a page of pins."""
    entries = answer["items"] if isinstance(answer, dict) else answer
    yield from (entry.get("message", entry) for entry in entries)


def message_in(answer: Any, message_id: int) -> Payload | None:
    return next((each for each in messages_in(answer) if each["id"] == str(message_id)), None)


def reference(message: Payload, key: str = "message_id") -> str | None:
    """Return the id of the message (or channel) that this one refers to."""
    return (message.get("message_reference") or {}).get(key)


def texts(message: Payload) -> list[str]:
    """Return the texts of the message's content, embeds and components."""
    shown = {key: message.get(key) for key in ("content", "embeds", "components")}
    return [value for key, value in _leaves(shown) if key in _SHOWN and value]


def require_same(what: str, sent: Iterable[str], shown: Iterable[str]) -> None:
    """Compare in any order. Raises CheckError."""
    expected, found = Counter(sent), Counter(shown)
    differing = [f"{short(each)} is missing" for each in expected - found]
    differing += [f"{short(each)} is new" for each in found - expected]
    expect(not differing, f"{what} differ: {'; '.join(differing[:MOST_SHOWN])}")


def short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, key)
    elif isinstance(node, str):
        yield key, node
