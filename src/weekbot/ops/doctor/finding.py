"""The finding of a check, and the advice."""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial


class Level(StrEnum):
    """Green (all is well), yellow (works, but needs a look) and red (does not work)."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """`part` names the checked part in a word; `sentence` has the finding and, unless all is well, what to do."""

    level: Level
    part: str
    sentence: str


ok, warning, error = (partial(Finding, level) for level in Level)
