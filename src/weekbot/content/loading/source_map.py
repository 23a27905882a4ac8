"""Data that remembers where in its file each part stands, and its validation by a pydantic model."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from rapidfuzz import process

from weekbot.content.problems import Position

STANDALONE_MESSAGE = "fault"
"""The type of an error whose message is a whole sentence."""
Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class LocatedProblem:
    """A problem whose file is not yet known."""

    position: Position
    message: str


@dataclass
class SourceMap:
    """Plain data (dicts, lists, strings), the position of every path into it, and what its reading found."""

    data: Any
    positions: dict[Path, Position] = field(default_factory=dict)
    problems: list[LocatedProblem] = field(default_factory=list)
    unreadable: set[Path] = field(default_factory=set)

    def report(self, position: Position, message: str) -> None:
        self.problems.append(LocatedProblem(position, message))

    def report_unreadable(self, path: Path, position: Position, message: str) -> None:
        """Report a part that could not be read, once: its model will not complain about it again."""
        self.report(position, message)
        self.unreadable.add(path)

    def position(self, path: Path) -> Position:
        """The position of the path, or of the nearest part around it that has one."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, Position())


def validate(model: type[Model], source: SourceMap) -> Model | None:
    """The model built from the data; what keeps it from being built is added to the findings."""
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        source.problems += _findings(model, source, error)
        return None


def _findings(model: type[BaseModel], source: SourceMap, error: ValidationError) -> Iterator[LocatedProblem]:
    for detail in error.errors(include_url=False):
        if detail["loc"] not in source.unreadable:
            yield LocatedProblem(source.position(detail["loc"]), _message(model, detail))


def _message(model: type[BaseModel], detail: ErrorDetails) -> str:
    describe = _MESSAGES.get(detail["type"])
    what = describe(detail) if describe else detail["msg"][:1].lower() + detail["msg"][1:]
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        what += _did_you_mean(str(detail["loc"][-1]), list(model.model_fields))
    colon = ":" if detail["type"] == STANDALONE_MESSAGE else ""
    return f"{_name(model, detail['loc'])}{colon} {what}".strip()


def _name(model: type[BaseModel], path: Path) -> str:
    """How the part is called in the file: `related[2]`, or a section's heading."""
    if not path:
        return ""
    known = model.model_fields.get(str(path[0]))
    name = (known.title if known else None) or str(path[0])
    return name + "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path[1:])


def _did_you_mean(word: str, known: list[str]) -> str:
    near = process.extractOne(word, known, score_cutoff=70)
    return f"; did you mean {near[0]}?" if near else ""


def _too_long(detail: ErrorDetails) -> str:
    return f"has {len(detail['input'].strip())} characters, at most {detail['ctx']['max_length']} fit"


def _too_few(detail: ErrorDetails) -> str:
    return f"has {detail['ctx']['actual_length']} entries, at least {detail['ctx']['min_length']} are needed"


def _too_many(detail: ErrorDetails) -> str:
    return f"has {len(detail['input'])} entries, at most {detail['ctx']['max_length']} fit"


_MESSAGES: dict[str, Callable[[ErrorDetails], str]] = {
    STANDALONE_MESSAGE: lambda detail: detail["msg"],
    "missing": lambda _: "is missing",
    "extra_forbidden": lambda _: "is not a known key",
    "string_too_long": _too_long,
    "string_too_short": lambda _: "is empty",
    "string_type": lambda _: "must be text",
    "string_pattern_mismatch": lambda detail: f"must match {detail['ctx']['pattern']}",
    "too_short": _too_few,
    "too_long": _too_many,
    "tuple_type": lambda _: "must be a list",
    "dict_type": lambda _: "must be a mapping",
    "date_from_datetime_parsing": lambda _: "must be a date such as 2026-11-23",
    "date_parsing": lambda _: "must be a date such as 2026-11-23",
    "model_type": lambda _: "must be a mapping",
    "int_parsing": lambda _: "must be a whole number",
    "greater_than_equal": lambda detail: f"must be at least {detail['ctx']['ge']}",
    "less_than_equal": lambda detail: f"must be at most {detail['ctx']['le']}",
    "enum": lambda detail: f"must be one of {detail['ctx']['expected']}",
    "literal_error": lambda detail: f"must be {detail['ctx']['expected']}",
}
