"""Sessions at the gateway that the processes of this database began: Discord counts those of the whole token."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Integer, String, cast, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.store.database import Database
from weekbot.store.tables import facts
from weekbot.store.upsert import insert_into

BEGUN, BEGUN_AT, COMPARED = "sessions_begun", "session_begun_at", "sessions_compared"
"""The facts: how many were begun, when the last one was, and the counts as they were compared last."""
SETTLED_AFTER = timedelta(minutes=2)  # since the last start: Discord may not have counted it before
SAME_RESET = timedelta(minutes=5)  # between two answers about the same day's sessions


@dataclass(frozen=True)
class _Counts:
    """How many starts Discord has left until it resets them, and how many this database's processes have made."""

    remaining: int
    begun: int
    resets_at: datetime

    def foreign_since(self, earlier: "_Counts") -> int:
        """Starts that somebody else has made since then; 0 if Discord has counted anew in between."""
        if abs(self.resets_at - earlier.resets_at) > SAME_RESET:
            return 0
        return max(0, earlier.remaining - self.remaining - (self.begun - earlier.begun))


class SessionStarts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, now: datetime) -> None:
        """Record a start, before it is made."""
        async with self._database.write() as connection:
            new = insert_into(connection, facts).values(name=BEGUN, value="1")
            more = cast(cast(facts.c.value, Integer) + 1, String)
            await connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"value": more}))
            await _put(connection, BEGUN_AT, now.isoformat())

    async def compare(self, remaining: int, resets_at: datetime, asked_at: datetime) -> int:
        """How many starts somebody else has made since the last comparison.

        `remaining` starts are left until `resets_at`, as Discord said at `asked_at`. Nothing is compared shortly after
        a start, which Discord may or may not have counted.
        """
        async with self._database.write() as connection:
            begun_at = await _get(connection, BEGUN_AT)
            if begun_at and asked_at - datetime.fromisoformat(begun_at) < SETTLED_AFTER:
                return 0
            counts = _Counts(remaining, int(await _get(connection, BEGUN) or 0), resets_at)
            earlier = _counts_of(await _get(connection, COMPARED))
            await _put(connection, COMPARED, json.dumps([counts.remaining, counts.begun, resets_at.isoformat()]))
        return counts.foreign_since(earlier) if earlier else 0


def _counts_of(text: str | None) -> _Counts | None:
    """None if there is none, or a later version wrote it."""
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
