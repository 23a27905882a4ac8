"""The `Date` header, with the time of the server or of a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from .snowflake import Clock


@dataclass
class DateHeader:
    """Generates the header's value from a clock, in RFC 9110's format with whole seconds."""

    clock: Clock
    offset: timedelta = timedelta()
    stopped_at: datetime | None = None

    @property
    def value(self) -> str:
        """Return the header's current value."""
        return format_datetime((self.stopped_at or self.clock()) + self.offset, usegmt=True)

    @contextmanager
    def shifted(self, by: timedelta) -> Iterator[None]:
        """Shift the header during the block; the clock stays right."""
        self.offset += by
        try:
            yield
        finally:
            self.offset -= by

    @contextmanager
    def stale(self) -> Iterator[None]:
        """Freeze the header during the block, as a cache would do."""
        self.stopped_at = self.clock()
        try:
            yield
        finally:
            self.stopped_at = None


def shifted(value: str, by: timedelta) -> str:
    """Return the header's value shifted by a duration."""
    return format_datetime(parsedate_to_datetime(value) + by, usegmt=True)
