"""A content file as text, however hostile the file."""

from collections.abc import Iterator
from pathlib import Path

from weekbot.content.characters import invisible, named, visible
from weekbot.content.located import Finding
from weekbot.content.problem import Position

MAX_BYTES = 64 * 1024


def read_text(path: Path, root: Path, findings: list[Finding]) -> str | None:
    """The file as text with plain line ends, or None and the reason in the findings.

    Invisible characters are findings as well, and are left out of the text: YAML would stop at some of them, and what
    is looked at next would stumble over them once more. `root` is the folder, resolved, that the file must not lead
    out of.
    """
    problem = _unreadable(path, root)
    if problem:
        findings.append(Finding(Position(), problem))
        return None
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        findings.append(Finding(Position(line), "is not valid UTF-8"))
    except OSError as error:
        findings.append(Finding(Position(), f"cannot be read: {error.strerror}"))
    else:
        hidden = list(_hidden(text))
        findings += hidden
        return visible(text) if hidden else text
    return None


def _hidden(text: str) -> Iterator[Finding]:
    """Each invisible character, once a line."""
    if not any(invisible(text)):
        return
    for number, line in enumerate(text.split("\n"), 1):
        first = {match[0]: match.start() for match in reversed(list(invisible(line)))}
        for character, start in first.items():
            yield Finding(Position(number, start + 1), f"{named(character)} is invisible; delete it")


def _unreadable(path: Path, root: Path) -> str | None:
    try:
        if not path.resolve().is_relative_to(root):
            return "points outside the content folder"
    except (OSError, RuntimeError):  # Python before 3.13 raises RuntimeError
        return "is a link to itself"
    if not path.is_file():
        return "is missing"
    if path.stat().st_size > MAX_BYTES:
        return f"is larger than {MAX_BYTES // 1024} KiB"
    return None
