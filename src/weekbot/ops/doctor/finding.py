"""What a check found, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Green, yellow and red: all is well; works, but look at it; does not work."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """`part` is what was checked, in a word; `sentence` is what was found and, unless all is well, what to do."""

    part: str
    level: Level
    sentence: str


def ok(part: str, sentence: str) -> Finding:
    return Finding(part, Level.OK, sentence)


def warning(part: str, sentence: str) -> Finding:
    return Finding(part, Level.WARNING, sentence)


def error(part: str, sentence: str) -> Finding:
    return Finding(part, Level.ERROR, sentence)
