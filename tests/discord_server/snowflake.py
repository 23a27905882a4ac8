"""Discord's ids, which carry the moment of their making."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]

EPOCH = datetime(2015, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the real time."""
    return datetime.now(UTC)


def moment(snowflake: int) -> datetime:
    """Return when an id was made."""
    return EPOCH + timedelta(milliseconds=snowflake >> 22)


@dataclass
class Snowflakes:
    """Makes ids, each above the one before, by a clock."""

    clock: Clock
    last: int = 0
    others: Iterator[int] = field(default_factory=lambda: count(1 << 20))

    def next(self) -> int:
        """Return an id of this moment."""
        earliest = (self.clock() - EPOCH) // timedelta(milliseconds=1) << 22
        self.last = max(earliest, self.last + 1)
        return self.last

    def at(self, instant: datetime) -> int:
        """Return an id of another moment, above those returned for it before."""
        return ((instant - EPOCH) // timedelta(milliseconds=1) << 22) + next(self.others) % (1 << 22)
