"""A channel's archived threads, of which any page is found at once, however many there are."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

Entry: TypeAlias = tuple[datetime, int]
"""When a thread was archived, and its id."""


@dataclass
class Archive:
    """Threads in the order in which they were archived."""

    entries: list[Entry] = field(default_factory=list)

    def add(self, archived_at: datetime, thread_id: int) -> None:
        """Take a thread in."""
        insort(self.entries, (archived_at, thread_id))

    def remove(self, archived_at: datetime, thread_id: int) -> None:
        """Give a thread back."""
        del self.entries[bisect_left(self.entries, (archived_at, thread_id))]

    def page(self, before: datetime, limit: int) -> tuple[list[int], bool]:
        """Return the ids of those archived last before an instant, the last first, and whether there are more."""
        end = bisect_left(self.entries, (before, 0))
        start = max(0, end - limit)
        return [thread_id for _, thread_id in reversed(self.entries[start:end])], start > 0
