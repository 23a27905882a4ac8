"""The commands `weekbot content`."""

import json
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weekbot.cli.browser import require_demo_packages, show_page
from weekbot.cli.problem_format import ProblemFormat, write
from weekbot.cli.terminal import log_final_error
from weekbot.content import EVERYTHING
from weekbot.content.problems import ContentError
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.printable import printable

if TYPE_CHECKING:
    from weekbot.content.library import Library

LAST_YEAR = 2999
content = typer.Typer(name="content", help="Check, list and create topics.", no_args_is_help=True)


@content.command()
def check(
    directory: Annotated[Path | None, typer.Argument(help="Content folder")] = None,
    form: Annotated[ProblemFormat, typer.Option("--format", help="Output format of the problems")] = ProblemFormat.TEXT,
    watch: Annotated[bool, typer.Option("--watch", help="Check again after each save until stopped")] = False,
) -> None:
    """Report every problem in the content folder."""
    folder = directory or _directory()
    if watch:
        import asyncio

        asyncio.run(_keep_checking(folder, form))
    elif not _check(folder, form):
        raise typer.Exit(1)


async def _keep_checking(folder: Path, form: ProblemFormat) -> None:
    """Check after each change, between lines by which an editor recognizes a run: see `.vscode/tasks.json`."""
    from weekbot.content.loading.live_library import watch_changes

    async for _ in watch_changes(folder):
        typer.echo(f"Checking {folder}")
        well = _check(folder, form)
        typer.echo(f"Checked: {'no problems' if well else 'see above'}")


def _check(folder: Path, form: ProblemFormat) -> bool:
    """Write the folder's problems; return whether there are none."""
    try:
        library = _load(folder)
    except ContentError as error:
        write(error.problems, form)
        return False
    write([], form)
    typer.echo(f"{folder}: no problems in {len(library.topics)} topics", err=True)
    return True


@content.command(name="list")
def list_() -> None:
    """List all topics in reading order."""
    library = _load(_directory())
    width = max(map(len, library.topics))
    for topic in library.topics.values():
        tracks = [track.slug for track in library.tracks.values() if topic.slug in track.topics]
        typer.echo(f"{topic.slug:{width}}  {topic.category:16}  {', '.join(tracks)}")


@content.command()
def plan(
    track: Annotated[str, typer.Argument(help="Track to plan")] = EVERYTHING,
    weeks: Annotated[int, typer.Option(min=1, max=520, help="Number of weeks")] = 12,
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Any day of the first week")] = None,
) -> None:
    """Show the weekly plan of a track that starts now."""
    library = _load(_directory())
    day = (start or datetime.now(UTC)).date()
    monday = day - timedelta(days=day.weekday())
    if day.year > LAST_YEAR:
        raise WeekbotError(f"The calendar ends in {LAST_YEAR}; choose an earlier day.")
    if track not in library.tracks:
        raise WeekbotError(f"There is no track {track}; choose one of {', '.join(library.tracks)}.")
    topics = library.tracks[track].topics
    for week in range(weeks):
        first = monday + timedelta(weeks=week)
        typer.echo(f"{first:%G-W%V}  {first}  {printable(library.topics[topics[week % len(topics)]].title)}")


@content.command()
def new(
    slug: Annotated[str, typer.Argument(help="Name of the new file, for example my-topic")],
    concept: Annotated[bool, typer.Option("--concept", help="Write about a concept instead of a package")] = False,
) -> None:
    """Create a topic file with every section in place."""
    from weekbot.content.scaffold import scaffold

    path = scaffold(_directory(), slug, concept=concept)
    typer.echo(f"Created {path}. Fill it in, add {slug} to tracks.yaml, then run: weekbot content check")


@content.command()
def preview(
    slug: Annotated[str, typer.Argument(help="Topic to preview")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 picks a free one")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser")] = True,
) -> None:
    """Preview a topic in a browser as Discord draws it, and redraw it on each save."""
    import asyncio

    from weekbot.runtime import log

    directory = _directory()
    if not (directory / "topics" / f"{slug}.md").is_file():
        raise WeekbotError(f"There is no topic {slug}; `weekbot content new {slug}` creates it.")
    with require_demo_packages():
        from weekbot.demo.preview import preview
    log.configure("ERROR", "console")
    asyncio.run(preview(directory, slug, port=port, on_ready=partial(show_page, browser=browser)))


@content.command(name="test")
def try_examples(
    slugs: Annotated[list[str] | None, typer.Argument(help="Topics to test; default: all", show_default=False)] = None,
    light: Annotated[bool, typer.Option("--light", help="Skip packages that take long to install")] = False,
    latest: Annotated[bool, typer.Option("--latest", help="Also report packages that have a newer release")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Number of examples to run at once")] = os.cpu_count() or 1,
    form: Annotated[ProblemFormat, typer.Option("--format", help="Output format of the problems")] = ProblemFormat.TEXT,
) -> None:
    """Run each topic's example against the real package and compare its output.

    Examples run without a sandbox: review those of strangers first.
    """
    import asyncio

    from weekbot.cli.content_test import run_examples

    problems = asyncio.run(run_examples(_directory(), slugs, light=light, latest=latest, jobs=jobs))
    write(problems, form)
    if problems:
        raise typer.Exit(1)


@content.command()
def republish(
    slug: Annotated[str, typer.Argument(help="Topic that was corrected")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the copies to edit")] = False,
) -> None:
    """Edit every posted copy of a topic."""
    from weekbot.republish import republish
    from weekbot.runtime import log, loop
    from weekbot.runtime.build_info import build_info
    from weekbot.runtime.clock import SystemClock
    from weekbot.settings import load_settings

    settings = load_settings()
    log.configure(settings.log_level, settings.log_format, settings.secrets(), build_info())
    with log_final_error(settings.log_format):
        loop.run(republish(settings, slug, SystemClock(), typer.echo, dry_run=dry_run))


@content.command()
def schema() -> None:
    """Print the JSON Schema of a topic's front matter, for editors."""
    from weekbot.content.model import front_matter_schema

    typer.echo(json.dumps(front_matter_schema(), indent=2))


def _load(directory: Path) -> "Library":
    from weekbot.content.loading.folder import load_library

    return load_library(directory)


def _directory() -> Path:
    from weekbot.settings import content_directory, load_settings

    return content_directory(load_settings())
