"""Checks on this machine: settings, content, and free disk space."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from shutil import disk_usage

from weekbot.content.loading.folder import load_library
from weekbot.content.problems import ContentError
from weekbot.ops.doctor.finding import Finding, error, ok, warning
from weekbot.settings import Settings, content_directory

MEGABYTE = 1_000_000
NEARLY_FULL, GETTING_FULL = 50 * MEGABYTE, 500 * MEGABYTE


def check_settings(wrong: Mapping[str, str], doubtful: Collection[str]) -> Iterator[Finding]:
    """Report `wrong`, a sentence for each invalid setting, and `doubtful`: unknown names and contradictory values."""
    for sentence in wrong.values():
        yield error("settings", f"{sentence.rstrip('.')}. .env.example describes each setting.")
    for sentence in doubtful:
        yield warning("settings", sentence)
    if not wrong and not doubtful:
        yield ok("settings", "all are valid")


def check_content(settings: Settings) -> Iterator[Finding]:
    directory = content_directory(settings)
    if not directory.is_dir():
        yield error("content", f"There is no folder {directory}; check WEEKBOT_CONTENT_DIR.")
        return
    try:
        library = load_library(directory)
    except ContentError as trouble:
        first, *more = trouble.problems
        others = f" (and {len(more)} more)" if more else ""
        yield error("content", f"{first}{others}; `weekbot content check` lists every problem.")
    else:
        yield ok("content", f"{len(library.topics)} topics in {directory}")


def check_disk(database: Path) -> Iterator[Finding]:
    """Check the space beside a SQLite file. A migration or a backup needs as much again as the file."""
    folder = database.absolute().parent
    if not folder.is_dir():
        return  # the check of the database reports it
    free, size = disk_usage(folder).free, database.stat().st_size if database.is_file() else 0
    room = f"{free / MEGABYTE:,.0f} MB free in {folder}"
    if free < NEARLY_FULL:
        yield error("disk", f"{room}: soon posts can no longer be recorded. Free up space there.")
    elif free < max(GETTING_FULL, size):
        yield warning("disk", f"{room}; the database takes up {size / MEGABYTE:,.0f} MB. Free up space there soon.")
    else:
        yield ok("disk", room)
