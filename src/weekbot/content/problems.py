"""Problems in content files, each with its position."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.printable import printable


class Position(NamedTuple):
    line: int = 1  # counted from 1, as is the column
    column: int = 1


@dataclass(frozen=True, order=True)
class Problem:
    path: Path
    position: Position
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {printable(self.message)}"

    @property
    def place(self) -> str:
        return f"{printable(str(self.path))}:{self.position.line}:{self.position.column}"


class ContentError(WeekbotError):
    """The content folder holds mistakes; `problems` has all of them, sorted by place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))
