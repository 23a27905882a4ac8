"""A channel's archived threads, with fast access to any page."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

Entry: TypeAlias = tuple[datetime, int]
"""The time at which a thread was archived, and its ID."""


@dataclass
class Archive:
    """Threads in the order in which they were archived."""

    entries: list[Entry] = field(default_factory=list)

    def add(self, archived_at: datetime, thread_id: int) -> None:
        """Add a thread."""
        insort(self.entries, (archived_at, thread_id))

    def remove(self, archived_at: datetime, thread_id: int) -> None:
        """Remove a thread."""
        del self.entries[bisect_left(self.entries, (archived_at, thread_id))]

    def page(self, before: datetime, limit: int) -> tuple[list[int], bool]:
        """Return a page of thread IDs before an instant, the last archived first, and whether there are more."""
        end = bisect_left(self.entries, (before, 0))
        start = max(0, end - limit)
        return [thread_id for _, thread_id in reversed(self.entries[start:end])], start > 0
