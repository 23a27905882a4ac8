"""Discord's IDs, which contain their creation time."""

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
    """Return the creation time of an ID."""
    return EPOCH + timedelta(milliseconds=snowflake >> 22)


@dataclass
class Snowflakes:
    """Generates increasing IDs from a clock."""

    clock: Clock
    last: int = 0
    others: Iterator[int] = field(default_factory=lambda: count(1 << 20))

    def next(self) -> int:
        """Return an ID of the current time."""
        earliest = (self.clock() - EPOCH) // timedelta(milliseconds=1) << 22
        self.last = max(earliest, self.last + 1)
        return self.last

    def at(self, instant: datetime) -> int:
        """Return an ID of another instant, greater than earlier ones of that instant."""
        return ((instant - EPOCH) // timedelta(milliseconds=1) << 22) + next(self.others) % (1 << 22)
