"""What one part of a rehearsal showed."""

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    AS_EXPECTED = "as expected"
    DEVIATES = "deviates"
    NOT_TRIED = "not tried"
    LOOK = "to look at"  # by a person, as Discord shows it to no bot


@dataclass(frozen=True)
class Finding:
    """`part` is what was tried, in a word or two; `sentence` is what Discord did, or why it was not tried."""

    part: str
    result: Result
    sentence: str


def as_expected(part: str, sentence: str) -> Finding:
    return Finding(part, Result.AS_EXPECTED, sentence)


def deviates(part: str, sentence: str) -> Finding:
    return Finding(part, Result.DEVIATES, sentence)


def not_tried(part: str, sentence: str) -> Finding:
    return Finding(part, Result.NOT_TRIED, sentence)


def look(part: str, sentence: str) -> Finding:
    return Finding(part, Result.LOOK, sentence)
