"""Problems of content, written for people, for GitHub or for other programs."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum

import typer

from weekbot.content.problems import Problem
from weekbot.runtime.printable import printable


class ProblemFormat(StrEnum):
    TEXT = "text"
    GITHUB = "github"
    JSON = "json"


def write(problems: Sequence[Problem], form: ProblemFormat) -> None:
    """Each problem to stdout, their number to stderr."""
    if problems or form is ProblemFormat.JSON:
        typer.echo(_WRITERS[form](problems))
    if problems:
        typer.echo(count(problems), err=True)


def count(problems: Sequence[Problem]) -> str:
    return f"{len(problems)} problem{'s' * (len(problems) > 1)}"


def _text(problems: Sequence[Problem]) -> str:
    return "\n".join(map(_coloured if supports_colour() else str, problems))


def supports_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _coloured(problem: Problem) -> str:
    message = typer.style(printable(problem.message), fg=typer.colors.RED)
    return typer.style(f"{problem.place}: ", bold=True) + message


def _github(problems: Sequence[Problem]) -> str:
    """Workflow commands, which GitHub shows beside the line."""
    return "\n".join(map(_workflow_command, problems))


def _workflow_command(problem: Problem) -> str:
    line, column = problem.position
    place = f"file={_property(printable(str(problem.path)))},line={line},col={column}"
    return f"::error {place}::{_data(printable(problem.message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25")


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
    # JSON escapes every control character but this one.
    return json.dumps(rows, indent=2).replace("\x7f", "\\u007f")


_WRITERS: dict[ProblemFormat, Callable[[Sequence[Problem]], str]] = {
    ProblemFormat.TEXT: _text,
    ProblemFormat.GITHUB: _github,
    ProblemFormat.JSON: _json,
}
