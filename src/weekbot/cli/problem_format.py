"""Writes content problems as text, as GitHub's workflow commands or as JSON."""

import json
from collections.abc import Sequence
from enum import StrEnum

import typer

from weekbot.cli.terminal import styled
from weekbot.content.problems import Problem
from weekbot.runtime.printable import printable


class ProblemFormat(StrEnum):
    TEXT = "text"
    GITHUB = "github"
    JSON = "json"


def write(problems: Sequence[Problem], form: ProblemFormat) -> None:
    if form is ProblemFormat.JSON:
        typer.echo(_json(problems))
    for problem in problems if form is not ProblemFormat.JSON else ():
        typer.echo(_text(problem) if form is ProblemFormat.TEXT else _workflow_command(problem))
    if problems:
        typer.echo(count(problems), err=True)


def count(problems: Sequence[Problem]) -> str:
    return f"{len(problems)} problem{'s' * (len(problems) > 1)}"


def _text(problem: Problem) -> str:
    return styled(f"{problem.place}: ", bold=True) + styled(printable(problem.message), colour=typer.colors.RED)


def _workflow_command(problem: Problem) -> str:
    line, column = problem.position
    path = _escape(printable(str(problem.path))).replace(":", "%3A").replace(",", "%2C")
    return f"::error file={path},line={line},col={column}::{_escape(printable(problem.message))}"


def _escape(text: str) -> str:
    return text.replace("%", "%25")


def _json(problems: Sequence[Problem]) -> str:
    rows = [{"path": str(each.path), **each.position._asdict(), "message": each.message} for each in problems]
    # JSON escapes all control characters except this one.
    return json.dumps(rows, indent=2).replace("\x7f", "\\u007f")
