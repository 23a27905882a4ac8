"""A content file as text, however hostile the file."""

from pathlib import Path

from weekbot.content.located import Finding
from weekbot.content.problem import Position

MAX_BYTES = 64 * 1024


def read_text(path: Path, root: Path, findings: list[Finding]) -> str | None:
    """The file as text with plain line ends, or None and the reason in the findings.

    `root` is the folder, resolved, that the file must not lead out of.
    """
    problem = _unreadable(path, root)
    if problem:
        findings.append(Finding(Position(), problem))
        return None
    try:
        return path.read_text("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        findings.append(Finding(Position(line), "is not valid UTF-8"))
    except OSError as error:
        findings.append(Finding(Position(), f"cannot be read: {error.strerror}"))
    return None


def _unreadable(path: Path, root: Path) -> str | None:
    try:
        if not path.resolve().is_relative_to(root):
            return "leads out of the content folder"
    except (OSError, RuntimeError):  # Python before 3.13 raises RuntimeError
        return "is a link to itself"
    if not path.is_file():
        return "is missing"
    if path.stat().st_size > MAX_BYTES:
        return f"is larger than {MAX_BYTES // 1024} KiB"
    return None
