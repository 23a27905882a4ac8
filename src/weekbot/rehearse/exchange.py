"""One request to Discord and its answer, as they were."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

Payload = dict[str, Any]

KEPT: Final = ("content-type", "date", "retry-after", "via")
RATE_LIMIT: Final = "x-ratelimit-"


@dataclass(frozen=True)
class Exchange:
    """`path` is below the API's address, with its query. `sent` and `answer` are JSON, or a text that isn't.

    The names of `headers` are in lower case; only those that matter are kept.
    Without an answer the `status` is None, and `error` says why. `at` is when it ended, by the machine's clock. `part`
    is the part of the rehearsal that it belongs to.
    """

    method: str
    path: str
    sent: Any
    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: Any = None
    error: str | None = None
    at: datetime | None = None
    part: str | None = None

    @property
    def ok(self) -> bool:
        return self.status is not None and self.status < 300

    @property
    def code(self) -> int | None:
        """Discord's own code for an error."""
        return self.answer.get("code") if isinstance(self.answer, dict) and not self.ok else None

    def __str__(self) -> str:
        """What Discord answered, for a person."""
        if self.status is None:
            return f"no answer ({self.error})"
        code = f", code {self.code}" if self.code else ""
        said = self.answer.get("message") if isinstance(self.answer, dict) else None
        return f"{self.status}{code}{f' ({said})' if said and not self.ok else ''}"


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer that matter."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in lowered.items() if name in KEPT or name.startswith(RATE_LIMIT)}


def messages_in(answer: Any) -> Iterator[Payload]:
    """The messages of a list, or of a page of pins."""
    entries = answer["items"] if isinstance(answer, dict) else answer
    for entry in entries:
        yield entry.get("message", entry)


def message_in(answer: Any, message_id: int) -> Payload | None:
    return next((each for each in messages_in(answer) if each["id"] == str(message_id)), None)


def custom_ids(message: Payload) -> list[str]:
    return sorted(value for key, value in _leaves(message.get("components")) if key == "custom_id")


# What a reader sees or a press leads to, by the keys of components and embeds.
_SHOWN = frozenset({"content", "label", "title", "description", "name", "value", "text", "url"})


def texts(message: Payload) -> list[str]:
    """All that the message shows: its content, embeds and components."""
    shown = {key: message.get(key) for key in ("content", "embeds", "components")}
    return sorted(value for key, value in _leaves(shown) if key in _SHOWN and value)


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
