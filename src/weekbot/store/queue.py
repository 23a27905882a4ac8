"""Leases: what is taken to be attempted is held for a while, and comes again if its end is never recorded."""

from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

from sqlalchemy import Column, ColumnElement, Table, bindparam, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import UtcDateTime
from weekbot.domain.shards import TIMESTAMP_FROM, Shards


class Lock(TypedDict, total=False):
    """Options of `with_for_update`."""

    skip_locked: bool
    key_share: bool


TAKEN: Final[Lock] = {"skip_locked": True, "key_share": True}
"""How rows are selected that one of several processes takes: what another is just taking is left to it.

Here and elsewhere it is the row alone that is locked, and SQLite, which has one writer at a time, is not asked to.
"""


def held(table: Table, now: datetime, lease: timedelta) -> dict[str, Any]:
    """What a row becomes that is taken: one more attempt, the instant of the first, and when it comes again."""
    first = func.coalesce(table.c.first_attempt_at, bindparam("_now", now, UtcDateTime))
    return {"attempts": table.c.attempts + 1, "first_attempt_at": first, "retry_at": now + lease}


async def next_retry(connection: AsyncConnection, table: Table, is_open: ColumnElement[bool]) -> datetime | None:
    """When the earliest of the open rows wants its next attempt."""
    earliest: datetime | None = await connection.scalar(select(func.min(table.c.retry_at)).where(is_open))
    return earliest


def on_shards(shards: Shards, guild_id: Column[int]) -> ColumnElement[bool]:
    """The condition that the server is on one of the shards."""
    if len(shards.ids) == shards.count:
        return true()
    return (guild_id // TIMESTAMP_FROM % shards.count).in_(shards.ids)
