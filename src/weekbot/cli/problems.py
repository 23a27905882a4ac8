"""Problems of content, written for people, for GitHub or for other programs."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum

import typer

from weekbot.content.problem import Problem


class Format(StrEnum):
    TEXT = "text"
    GITHUB = "github"
    JSON = "json"


def write(problems: Sequence[Problem], form: Format) -> None:
    """Each problem to stdout, their number to stderr."""
    if problems or form is Format.JSON:
        typer.echo(_WRITERS[form](problems))
    if problems:
        typer.echo(count(problems), err=True)


def count(problems: Sequence[Problem]) -> str:
    return f"{len(problems)} problem{'s' * (len(problems) > 1)}"


def _text(problems: Sequence[Problem]) -> str:
    return "\n".join(map(_coloured if has_colours() else str, problems))


def has_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _coloured(problem: Problem) -> str:
    place, line, column = problem.path, problem.position.line, problem.position.column
    return typer.style(f"{place}:{line}:{column}: ", bold=True) + typer.style(problem.message, fg=typer.colors.RED)


def _github(problems: Sequence[Problem]) -> str:
    """Workflow commands, which GitHub shows beside the line."""
    return "\n".join(
        f"::error file={_property(str(problem.path))},line={problem.position.line},col={problem.position.column}::"
        + _data(problem.message)
        for problem in problems
    )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _json(problems: Sequence[Problem]) -> str:
    rows = [
        {
            "path": str(problem.path),
            "line": problem.position.line,
            "column": problem.position.column,
            "message": problem.message,
        }
        for problem in problems
    ]
    return json.dumps(rows, indent=2)


_WRITERS: dict[Format, Callable[[Sequence[Problem]], str]] = {
    Format.TEXT: _text,
    Format.GITHUB: _github,
    Format.JSON: _json,
}
