"""The `Date` header, which says what time the server, or a proxy before it, thinks it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from .snowflake import Clock


@dataclass
class DateHeader:
    """Makes the header's value from a clock, in RFC 9110's form, which has whole seconds."""

    clock: Clock
    offset: timedelta = timedelta()
    stopped_at: datetime | None = None

    @property
    def value(self) -> str:
        """Return the header's value now."""
        return format_datetime((self.stopped_at or self.clock()) + self.offset, usegmt=True)

    @contextmanager
    def shifted(self, by: timedelta) -> Iterator[None]:
        """Let the header be wrong while the block runs; the clock stays right."""
        self.offset += by
        try:
            yield
        finally:
            self.offset -= by

    @contextmanager
    def stale(self) -> Iterator[None]:
        """Let the header stay as it is while the block runs, as a cache between would have it."""
        self.stopped_at = self.clock()
        try:
            yield
        finally:
            self.stopped_at = None


def shifted(value: str, by: timedelta) -> str:
    """Return a header's value that is so much later."""
    return format_datetime(parsedate_to_datetime(value) + by, usegmt=True)
