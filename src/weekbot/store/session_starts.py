"""Counts the gateway sessions of this database's processes, to compare with Discord's count for the whole token."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Integer, String, cast, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.tables import facts
from weekbot.db.upsert import insert_into

BEGUN, BEGUN_AT, COMPARED = "sessions_begun", "session_begun_at", "sessions_compared"
"""Names of facts: the number of sessions begun, the time of the last one, and the counts of the last comparison."""
SETTLED_AFTER = timedelta(minutes=2)  # Discord may count a start this late
SAME_RESET = timedelta(minutes=5)  # two reported resets closer than this are the same one


@dataclass(frozen=True)
class _Counts:
    """The starts that Discord still allows until it resets them, and the starts by this database's processes."""

    remaining: int
    begun: int
    resets_at: datetime

    def foreign_since(self, earlier: "_Counts") -> int:
        """The number of starts by other programs since `earlier`; 0 if Discord has reset its count in between."""
        if abs(self.resets_at - earlier.resets_at) > SAME_RESET:
            return 0
        return max(0, earlier.remaining - self.remaining - (self.begun - earlier.begun))


class SessionStarts:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._uncounted = False

    def missed(self) -> None:
        """A start could not be recorded, so that the next comparison says nothing about others."""
        self._uncounted = True

    async def begin(self, now: datetime) -> None:
        """Record a start that is about to be made."""
        async with self._database.write() as connection:
            new = insert_into(connection, facts).values(name=BEGUN, value="1")
            more = cast(cast(facts.c.value, Integer) + 1, String)
            await connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"value": more}))
            await _put(connection, BEGUN_AT, now.isoformat())

    async def compare(self, remaining: int, resets_at: datetime, asked_at: datetime) -> int:
        """The number of starts by other programs since the last comparison.

        At `asked_at`, Discord reported `remaining` starts until `resets_at`. Shortly after a start nothing is compared,
        because Discord may not have counted it yet.
        """
        async with self._database.write() as connection:
            begun_at = await _get(connection, BEGUN_AT)
            if begun_at and asked_at - datetime.fromisoformat(begun_at) < SETTLED_AFTER:
                return 0
            counts = _Counts(remaining, int(await _get(connection, BEGUN) or 0), resets_at)
            earlier = _counts_of(await _get(connection, COMPARED))
            await _put(connection, COMPARED, json.dumps([counts.remaining, counts.begun, resets_at.isoformat()]))
        uncounted, self._uncounted = self._uncounted, False
        return counts.foreign_since(earlier) if earlier and not uncounted else 0


def _counts_of(text: str | None) -> _Counts | None:
    """Parse stored counts; None if there are none, or a later version wrote them."""
    try:
        remaining, begun, resets_at = json.loads(text or "[]")
        return _Counts(int(remaining), int(begun), datetime.fromisoformat(resets_at))
    except (ValueError, TypeError):
        return None


async def _get(connection: AsyncConnection, name: str) -> str | None:
    return await connection.scalar(select(facts.c.value).where(facts.c.name == name))


async def _put(connection: AsyncConnection, name: str, value: str) -> None:
    new = insert_into(connection, facts).values(name=name, value=value)
    await connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
