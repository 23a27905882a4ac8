"""The result of one check of a rehearsal."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from weekbot.runtime.errors import WeekbotError

T = TypeVar("T")


class Result(StrEnum):
    AS_EXPECTED = "as expected"
    DEVIATES = "deviates"
    NOT_TRIED = "not tried"
    SKIPPED = "skipped"  # there is nothing to try it on
    LOOK = "to look at"  # by a person, because Discord hides it from bots


@dataclass(frozen=True)
class CheckResult:
    """`part` names the check; `sentence` describes what Discord did, or why the check was not tried."""

    part: str
    result: Result
    sentence: str


class CheckError(WeekbotError):
    def __init__(self, result: Result, sentence: str) -> None:
        super().__init__(sentence)
        self.result = result


def expect(value: T | None, otherwise: str, result: Result = Result.DEVIATES) -> T:
    """Return the value. Raises CheckError with the sentence if it is None, false or empty."""
    if not value:
        raise CheckError(result, otherwise)
    return value
