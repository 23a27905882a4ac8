"""Discord's limits of message contents; a request that exceeds one is an invalid form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from . import embed
from .component import ACTION_ROW, BUTTON, SELECTS, TEXT_DISPLAY, Path, texts, walk_paths
from .error import ApiError
from .payload import Payload

Problem: TypeAlias = tuple[Path, str, str]
"""The path in the body, Discord's error code, and a message."""

MAX_CONTENT = 2000
MAX_TEXT = 4000
MAX_EMBEDS = 10
MAX_EMBED_TEXT = 6000
MAX_FIELDS = 25
MAX_COMPONENTS = 40
MAX_ROWS = 5
MAX_BUTTONS = 5
MAX_OPTIONS = 25
MAX_NAME = 100
MAX_NONCE = 25
MAX_QUESTION = 300
MAX_ANSWERS = 10
MAX_ANSWER = 55
MAX_HOURS = 768

LINK = 5

COMPONENT_TEXTS = {"label": 80, "custom_id": 100, "placeholder": 150, "url": 512}
OPTION_TEXTS = {"label": 100, "value": 100, "description": 100}
EMBED_TEXTS = {"title": 256, "description": 4096, "url": 2048}
FIELD_TEXTS = {"name": 256, "value": 1024}
MAX_FOOTER = 2048

LEGACY = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"


def check_message(body: Payload, *, components_v2: bool) -> None:
    """Raise Discord's error if a message exceeds a limit."""
    _refuse([*_of_message(body), *(_of_layout(body) if components_v2 else _of_legacy(body))])


def check_nonce(body: Payload) -> None:
    """Raise Discord's error if a nonce is too long."""
    _refuse(_longer(("nonce",), body.get("nonce"), MAX_NONCE))


def check_thread(body: Payload) -> None:
    """Raise Discord's error if a thread's name is missing, empty or too long."""
    _refuse(_outside(("name",), body.get("name") or "", 1, MAX_NAME))


def _refuse(problems: Iterator[Problem] | Sequence[Problem]) -> None:
    if errors := _tree(problems):
        raise ApiError(50035, errors)


def _tree(problems: Iterator[Problem] | Sequence[Problem]) -> Payload:
    """Nest the problems as Discord does: by keys and indices as strings, with `_errors` at the end."""
    tree: Payload = {}
    for path, code, message in problems:
        branch = tree
        for key in path:
            branch = branch.setdefault(str(key), {})
        branch.setdefault("_errors", []).append({"code": code, "message": message})
    return tree


def _of_message(body: Payload) -> Iterator[Problem]:
    yield from _longer(("content",), body.get("content"), MAX_CONTENT)
    yield from _longer(("embeds",), body.get("embeds"), MAX_EMBEDS)
    yield from _of_embeds(body.get("embeds") or [])
    yield from _of_poll(body.get("poll"))
    components = body.get("components") or []
    counts = Counter(each["custom_id"] for _, each in walk_paths(components) if "custom_id" in each)
    for path, component in walk_paths(components):
        yield from _of_component(("components", *path), component)
        if counts[component.get("custom_id")] > 1:
            duplicated = "Component custom id cannot be duplicated"
            yield ("components", *path, "custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED", duplicated


def _of_embeds(embeds: list[Payload]) -> Iterator[Problem]:
    for number, each in enumerate(embeds):
        path: Path = ("embeds", number)
        for key, maximum in EMBED_TEXTS.items():
            yield from _longer((*path, key), each.get(key), maximum)
        yield from _longer((*path, "footer", "text"), (each.get("footer") or {}).get("text"), MAX_FOOTER)
        yield from _longer((*path, "fields"), each.get("fields"), MAX_FIELDS)
        for position, field in enumerate(each.get("fields") or []):
            for key, maximum in FIELD_TEXTS.items():
                yield from _outside((*path, "fields", position, key), field.get(key) or "", 1, maximum)
    if sum(map(len, embed.texts(embeds))) > MAX_EMBED_TEXT:
        too_much = f"Embed size exceeds maximum size of {MAX_EMBED_TEXT}"
        yield ("embeds",), "MAX_EMBED_SIZE_EXCEEDED", too_much


def _of_poll(poll: Payload | None) -> Iterator[Problem]:
    if poll is None:
        return
    yield from _outside(("poll", "question", "text"), poll["question"].get("text") or "", 1, MAX_QUESTION)
    yield from _outside(("poll", "answers"), poll["answers"], 1, MAX_ANSWERS)
    for number, answer in enumerate(poll["answers"]):
        path: Path = ("poll", "answers", number, "poll_media", "text")
        yield from _outside(path, answer["poll_media"].get("text") or "", 1, MAX_ANSWER)
    if not 1 <= (poll.get("duration") or 1) <= MAX_HOURS:
        yield ("poll", "duration"), "NUMBER_TYPE_MAX", f"int value should be less than or equal to {MAX_HOURS}."


def _of_layout(body: Payload) -> Iterator[Problem]:
    for key in ("content", "embeds", "poll", "sticker_ids"):
        if body.get(key):
            yield (key,), LEGACY, f"The '{key}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
    components = body.get("components") or []
    if sum(1 for _ in walk_paths(components)) > MAX_COMPONENTS:
        too_many = f"The total number of components cannot exceed {MAX_COMPONENTS}"
        yield ("components",), "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", too_many
    if sum(map(len, texts(components))) > MAX_TEXT:
        too_much = f"Total size of displayable text cannot exceed {MAX_TEXT}"
        yield ("components",), "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", too_much


def _of_legacy(body: Payload) -> Iterator[Problem]:
    components = body.get("components") or []
    yield from _longer(("components",), components, MAX_ROWS)
    for number, component in enumerate(components):
        if component["type"] != ACTION_ROW:
            only = f'Value of field "type" must be one of ({ACTION_ROW},).'
            yield ("components", number, "type"), "UNION_TYPE_CHOICES", only


def _of_component(path: Path, component: Payload) -> Iterator[Problem]:
    for key, maximum in COMPONENT_TEXTS.items():
        yield from _longer((*path, key), component.get(key), maximum)
    if component["type"] == ACTION_ROW:
        yield from _of_row(path, component.get("components") or [])
    elif component["type"] == BUTTON:
        yield from _of_button(path, component)
    elif component["type"] == TEXT_DISPLAY:
        yield from _outside((*path, "content"), component["content"], 1, MAX_TEXT)
    elif component["type"] in SELECTS:
        yield from _of_select(path, component)


def _of_row(path: Path, children: list[Payload]) -> Iterator[Problem]:
    yield from _outside((*path, "components"), children, 1, MAX_BUTTONS)
    if len(children) > 1 and any(child["type"] != BUTTON for child in children):
        wide = "The specified component exceeds the maximum width"
        yield (*path, "components"), "COMPONENT_LAYOUT_WIDTH_EXCEEDED", wide


def _of_button(path: Path, button: Payload) -> Iterator[Problem]:
    needed = "url" if button["style"] == LINK else "custom_id"
    if not button.get(needed):
        yield (*path, needed), "BASE_TYPE_REQUIRED", "This field is required"


def _of_select(path: Path, select: Payload) -> Iterator[Problem]:
    if not select.get("custom_id"):
        yield (*path, "custom_id"), "BASE_TYPE_REQUIRED", "This field is required"
    if "options" in select:
        yield from _outside((*path, "options"), select["options"], 1, MAX_OPTIONS)
    for number, option in enumerate(select.get("options") or []):
        for key, maximum in OPTION_TEXTS.items():
            yield from _longer((*path, "options", number, key), option.get(key), maximum)


def _longer(path: Path, value: Any, maximum: int) -> Iterator[Problem]:
    if value is not None and len(value if isinstance(value, list) else str(value)) > maximum:
        yield path, "BASE_TYPE_MAX_LENGTH", f"Must be {maximum} or fewer in length."


def _outside(path: Path, value: str | list[Any], minimum: int, maximum: int) -> Iterator[Problem]:
    if not minimum <= len(value) <= maximum:
        yield path, "BASE_TYPE_BAD_LENGTH", f"Must be between {minimum} and {maximum} in length."
