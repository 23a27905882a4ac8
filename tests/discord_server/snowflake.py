"""Discord's ids, which carry the moment of their making."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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

    def next(self) -> int:
        """Return an id of this moment."""
        earliest = (self.clock() - EPOCH) // timedelta(milliseconds=1) << 22
        self.last = max(earliest, self.last + 1)
        return self.last
