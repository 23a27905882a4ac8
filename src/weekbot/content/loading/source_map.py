"""Data with the position of each part in its file, and its validation by a pydantic model."""

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from rapidfuzz import process

from weekbot.content.field_types import STANDALONE_MESSAGE
from weekbot.content.problems import Position, Problem

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


class LocatedProblem(NamedTuple):
    message: str
    position: Position = Position()

    def in_file(self, path: FilePath) -> Problem:
        return Problem(path, self.position, self.message)


@dataclass
class SourceMap:
    """Plain data (dicts, lists, strings), the positions of the paths into it, and the problems found so far."""

    data: Any
    positions: dict[Path, Position] = field(default_factory=dict)
    problems: list[LocatedProblem] = field(default_factory=list)
    unreadable: set[Path] = field(default_factory=set)  # reported, so that `validate` doesn't report them again

    def report(self, position: Position, message: str) -> None:
        self.problems.append(LocatedProblem(message, position))

    def report_at(self, path: Path, message: str) -> None:
        self.report(self.position(path), message)

    def position(self, path: Path) -> Position:
        """Return the position of the path, or of the nearest part around it that has one."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, Position())


def validate(model: type[Model], source: SourceMap) -> Model | None:
    """Build the model from the data, or return None and report why that isn't possible."""
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["loc"] not in source.unreadable:
                source.report_at(detail["loc"], _message(model, detail))
        return None


def _message(model: type[BaseModel], detail: ErrorDetails) -> str:
    name, message = _name(model, detail["loc"]), detail["msg"]
    if detail["type"] == STANDALONE_MESSAGE:
        return f"{name}: {message}"
    if template := _MESSAGES.get(detail["type"]):
        value = detail["input"].strip() if isinstance(detail["input"], str) else detail["input"]
        length = len(value) if isinstance(value, str | list | dict) else 0
        message = template.format(length=length, **detail.get("ctx", {}))
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        near = process.extractOne(str(detail["loc"][-1]), list(model.model_fields), score_cutoff=70)
        message += f"; did you mean {near[0]}?" if near else ""
    return f"{name} {message[:1].lower()}{message[1:]}".strip()


def _name(model: type[BaseModel], path: Path) -> str:
    """Return the name of the part in the file: `related[2]`, or a section's heading."""
    if not path:
        return ""
    known = model.model_fields.get(str(path[0]))
    name = (known.title if known else None) or str(path[0])
    return name + "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path[1:])


_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not a known key",
    "string_too_long": "has {length} characters, at most {max_length} fit",
    "string_too_short": "is empty",
    "string_type": "must be text",
    "string_pattern_mismatch": "must match {pattern}",
    "too_short": "has {actual_length} entries, at least {min_length} are needed",
    "too_long": "has {length} entries, at most {max_length} fit",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "date_from_datetime_parsing": "must be a date such as 2026-11-23",
    "date_parsing": "must be a date such as 2026-11-23",
    "model_type": "must be a mapping",
    "int_parsing": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "literal_error": "must be {expected}",
}
