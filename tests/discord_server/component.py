"""Message components as trees of JSON."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import TypeAlias

from .payload import Payload

Path: TypeAlias = tuple[str | int, ...]
"""The keys and indices of a part of a body."""

ACTION_ROW = 1
BUTTON = 2
TEXT_SELECT = 3
SELECTS = (TEXT_SELECT, 5, 6, 7, 8)
TEXT_DISPLAY = 10

SELECT_DEFAULTS: Payload = {"min_values": 1, "max_values": 1}
DEFAULTS: dict[int, Payload] = {
    **dict.fromkeys(SELECTS, SELECT_DEFAULTS),
    11: {"description": None, "spoiler": False},
    14: {"spacing": 1, "divider": True},
    17: {"accent_color": None, "spoiler": False},
}
"""The defaults that Discord adds, by component type."""


def walk(components: Iterable[Payload]) -> Iterator[Payload]:
    """Yield every component, parents first, in display order."""
    return (component for _, component in walk_paths(components))


def walk_paths(components: Iterable[Payload], path: Path = ()) -> Iterator[tuple[Path, Payload]]:
    """Yield every component with its path."""
    for number, component in enumerate(components):
        yield from _walk_one(component, (*path, number))


def _walk_one(component: Payload, path: Path) -> Iterator[tuple[Path, Payload]]:
    yield path, component
    yield from walk_paths(component.get("components") or [], (*path, "components"))
    for key in ("accessory", "component"):
        if component.get(key):
            yield from _walk_one(component[key], (*path, key))


def completed(components: Iterable[Payload]) -> list[Payload]:
    """Return a copy in which every component has an ID and its defaults, as Discord adds them."""
    copied = deepcopy(list(components))
    used = {component["id"] for component in walk(copied) if component.get("id")}
    free = (number for number in range(1, 10_000) if number not in used)
    for component in walk(copied):
        component["id"] = component.get("id") or next(free)
        component |= {key: value for key, value in DEFAULTS.get(component["type"], {}).items() if key not in component}
    return copied


def find(components: Iterable[Payload], custom_id: str) -> Payload:
    """Return the component with a custom ID."""
    for component in walk(components):
        if component.get("custom_id") == custom_id:
            return component
    raise LookupError(f"no component has the custom_id {custom_id!r}")


def texts(components: Iterable[Payload]) -> list[str]:
    """Return the contents of the text displays."""
    return [component["content"] for component in walk(components) if component["type"] == TEXT_DISPLAY]
