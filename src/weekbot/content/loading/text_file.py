"""Reads a content file as text, and guards against hostile files."""

from collections.abc import Iterator
from pathlib import Path

from weekbot.content.characters import character_name, find_invisible, remove_invisible
from weekbot.content.loading.source_map import LocatedProblem
from weekbot.content.problems import Position

MAX_BYTES = 64 * 1024


def read_text(path: Path, root: Path, problems: list[LocatedProblem]) -> str | None:
    """Return the text with plain line ends, or None with the reason in `problems`.

    Invisible characters are reported and removed, so that YAML and later checks don't stumble over them. `root` is the
    resolved folder that the file must be in.
    """
    if problem := _path_problem(path, root):
        problems.append(LocatedProblem(problem))
        return None
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(LocatedProblem("is not valid UTF-8", Position(line)))
    except OSError as error:
        problems.append(LocatedProblem(f"cannot be read: {error.strerror}"))
    else:
        if any(find_invisible(text)):
            problems += _invisible_characters(text)
            text = remove_invisible(text)
        return text
    return None


def _invisible_characters(text: str) -> Iterator[LocatedProblem]:
    for number, line in enumerate(text.split("\n"), 1):
        first = {match[0]: match.start() for match in reversed(list(find_invisible(line)))}
        for character, start in first.items():
            message = f"{character_name(character)} is invisible; delete it"
            yield LocatedProblem(message, Position(number, start + 1))


def _path_problem(path: Path, root: Path) -> str | None:
    try:
        if not path.resolve().is_relative_to(root):
            return "points outside the content folder"
    except (OSError, RuntimeError):  # Python before 3.13 raises RuntimeError
        return "is a link to itself"
    if not path.is_file():
        return "is missing"
    return f"is larger than {MAX_BYTES // 1024} KiB" if path.stat().st_size > MAX_BYTES else None
