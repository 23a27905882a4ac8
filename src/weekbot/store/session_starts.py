"""Counts the gateway sessions of this database's processes, to compare with Discord's count for the whole token."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from weekbot.db.metadata import get_entry, increment_entry, put_entry
from weekbot.store.repository import Repository

STARTED, STARTED_AT, COMPARED = "sessions_begun", "session_begun_at", "sessions_compared"
"""Metadata entries: the number of starts, the time of the last one, and the counts of the last comparison."""
COUNT_DELAY = timedelta(minutes=2)  # Discord may count a start this late
SAME_RESET = timedelta(minutes=5)  # two reported resets closer than this are the same one


@dataclass(frozen=True)
class _Counts:
    """The starts that Discord still allows until it resets them, and the starts by this database's processes."""

    remaining: int
    started: int
    resets_at: datetime

    def foreign_since(self, earlier: "_Counts") -> int:
        """Return the number of starts by other programs since `earlier`; 0 if Discord has reset its count since."""
        if abs(self.resets_at - earlier.resets_at) > SAME_RESET:
            return 0
        return max(0, earlier.remaining - self.remaining - (self.started - earlier.started))


class SessionStarts(Repository):
    _uncounted = False

    def mark_uncounted(self) -> None:
        """Note that a start could not be recorded, so the next comparison can't count other programs' starts."""
        self._uncounted = True

    async def record(self, now: datetime) -> None:
        """Record a start that is about to be made."""
        async with self._database.write() as connection:
            await increment_entry(connection, STARTED)
            await put_entry(connection, STARTED_AT, now.isoformat())

    async def compare(self, remaining: int, resets_at: datetime, asked_at: datetime) -> int:
        """Return the number of starts by other programs since the last comparison.

        At `asked_at`, Discord reported `remaining` starts until `resets_at`. Shortly after a start nothing is compared,
        because Discord may not have counted it yet.
        """
        async with self._database.write() as connection:
            started_at = await get_entry(connection, STARTED_AT)
            if started_at and asked_at - datetime.fromisoformat(started_at) < COUNT_DELAY:
                return 0
            counts = _Counts(remaining, int(await get_entry(connection, STARTED) or 0), resets_at)
            earlier = _parse(await get_entry(connection, COMPARED))
            await put_entry(connection, COMPARED, json.dumps([remaining, counts.started, resets_at.isoformat()]))
        uncounted, self._uncounted = self._uncounted, False
        return counts.foreign_since(earlier) if earlier and not uncounted else 0


def _parse(text: str | None) -> _Counts | None:
    """Parse stored counts; None if there are none, or a later version wrote them."""
    try:
        remaining, started, resets_at = json.loads(text or "[]")
        return _Counts(int(remaining), int(started), datetime.fromisoformat(resets_at))
    except (ValueError, TypeError):
        return None
