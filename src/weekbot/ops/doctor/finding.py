"""The finding of a check, and the advice."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Green (all is well), yellow (works, but needs a look) and red (does not work)."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """`part` names the checked part in a word; `sentence` has the finding and, unless all is well, what to do."""

    part: str
    level: Level
    sentence: str


def ok(part: str, sentence: str) -> Finding:
    return Finding(part, Level.OK, sentence)


def warning(part: str, sentence: str) -> Finding:
    return Finding(part, Level.WARNING, sentence)


def error(part: str, sentence: str) -> Finding:
    return Finding(part, Level.ERROR, sentence)
