"""What one check of a rehearsal showed."""

from dataclasses import dataclass
from enum import StrEnum

from weekbot.runtime.errors import WeekbotError


class Result(StrEnum):
    AS_EXPECTED = "as expected"
    DEVIATES = "deviates"
    NOT_TRIED = "not tried"
    SKIPPED = "skipped"  # as there is nothing to try it on
    LOOK = "to look at"  # by a person, as Discord hides it from bots


@dataclass(frozen=True)
class Finding:
    """`part` is what was tried, in a word or two; `sentence` is what Discord did, or why it was not tried."""

    part: str
    result: Result
    sentence: str


class DeviatesError(WeekbotError):
    """Discord did something else than weekbot relies on; the sentence is the finding's."""


class NotTriedError(WeekbotError):
    """What the check needs is missing; the sentence is the finding's."""


class SkippedError(WeekbotError):
    """There is nothing to try it on; the sentence is the finding's."""


class LookError(WeekbotError):
    """A person has to look at it; the sentence is the finding's."""
