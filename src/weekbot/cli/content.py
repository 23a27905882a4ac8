"""`weekbot content`: for those who write topics."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from weekbot.content.files import load_library
from weekbot.content.library import Library
from weekbot.content.model import EVERYTHING, Track
from weekbot.content.problem import ContentError, Problem
from weekbot.content.scaffold import scaffold
from weekbot.content.schema import front_matter_schema
from weekbot.errors import WeekbotError
from weekbot.settings import content_directory, load_settings

LAST_YEAR = 2999
content = typer.Typer(name="content", help="Check, list and begin topics.", no_args_is_help=True)


class Format(StrEnum):
    TEXT = "text"
    GITHUB = "github"
    JSON = "json"


@content.command()
def check(
    directory: Annotated[Path | None, typer.Argument(help="The content folder.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How problems are written.")] = Format.TEXT,
) -> None:
    """Name every problem of every file."""
    folder = directory or _directory()
    try:
        library = load_library(folder)
    except ContentError as error:
        typer.echo(_WRITERS[form](error.problems))
        typer.echo(f"{len(error.problems)} problem{'s' * (len(error.problems) > 1)}", err=True)
        raise typer.Exit(1) from None
    if form is Format.JSON:
        typer.echo(_WRITERS[form]([]))
    typer.echo(f"{folder}: all is well, {len(library.topics)} topics", err=True)


@content.command(name="list")
def list_() -> None:
    """List all topics in reading order."""
    library = load_library(_directory())
    width = max(map(len, library.topics))
    for topic in library.topics.values():
        tracks = [track.slug for track in library.tracks.values() if topic.slug in track.topics]
        typer.echo(f"{topic.slug:{width}}  {topic.category:16}  {', '.join(tracks)}")


@content.command()
def plan(
    track: Annotated[str, typer.Argument(help="Which track.")] = EVERYTHING,
    weeks: Annotated[int, typer.Option(min=1, max=520, help="How many.")] = 12,
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day of the first week.")] = None,
) -> None:
    """Show the coming weeks of a track that starts now."""
    library = load_library(_directory())
    day = (start or datetime.now(UTC)).date()
    monday = day - timedelta(days=day.weekday())
    if day.year > LAST_YEAR:
        raise WeekbotError(f"The calendar here ends with the year {LAST_YEAR}; choose an earlier day.")
    for week, topic in enumerate(_round_and_round(_track(library, track), weeks)):
        typer.echo(f"{_week(monday + timedelta(weeks=week))}  {library.topics[topic].title}")


@content.command()
def new(
    slug: Annotated[str, typer.Argument(help="The new file's name, such as my-topic.")],
    concept: Annotated[bool, typer.Option("--concept", help="An idea instead of a package.")] = False,
) -> None:
    """Begin a topic: write a file with every part in its place."""
    path = scaffold(_directory(), slug, concept=concept)
    typer.echo(f"Wrote {path}. Fill it in, name {slug} in tracks.yaml, then run: weekbot content check")


@content.command()
def schema() -> None:
    """Print the JSON Schema of a topic's front matter, for editors."""
    typer.echo(json.dumps(front_matter_schema(), indent=2))


def _directory() -> Path:
    return content_directory(load_settings())


def _track(library: Library, slug: str) -> Track:
    if slug not in library.tracks:
        raise WeekbotError(f"There is no track {slug}; there are {', '.join(library.tracks)}.")
    return library.tracks[slug]


def _round_and_round(track: Track, weeks: int) -> list[str]:
    return [track.topics[week % len(track.topics)] for week in range(weeks)]


def _week(monday: date) -> str:
    return f"{monday:%G-W%V}  {monday}"


def _text(problems: list[Problem]) -> str:
    return "\n".join(str(problem) for problem in problems)


def _github(problems: list[Problem]) -> str:
    """Workflow commands, which GitHub shows beside the line."""
    return "\n".join(
        f"::error file={problem.path},line={problem.position.line},col={problem.position.column}::"
        + problem.message.replace("%", "%25").replace("\n", "%0A")
        for problem in problems
    )


def _json(problems: list[Problem]) -> str:
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


_WRITERS: dict[Format, Callable[[list[Problem]], str]] = {
    Format.TEXT: _text,
    Format.GITHUB: _github,
    Format.JSON: _json,
}
