"""The posts that are made for a slot until a channel's turn, at a cost that is limited."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from itertools import accumulate

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.tables import subscriptions

_RUNNING = subscriptions.c.active & ~subscriptions.c.paused


async def posts_until_turn(database: Database, subscription_ids: Collection[int], limit: int) -> dict[int, int]:
    """By subscription id, the posts of its next slot up to the end of its turn, among all servers; at most `limit`.

    Paused subscriptions and those that have ended are left out.
    """
    # As a condition, `_RUNNING` would make SQLite search all that are active, not the ids.
    query = select(*subscriptions.c["id", "next_slot", "ordinal"], _RUNNING.label("running"))
    turns, found = defaultdict[datetime, dict[int, int]](dict), dict[int, int]()
    async with database.read() as connection:
        for row in await connection.execute(query.where(subscriptions.c.id.in_(subscription_ids))):
            if row.running:
                turns[row.next_slot][row.id] = row.ordinal
        for slot, ordinals in turns.items():
            totals = await _totals(connection, slot, ordinals.values(), limit)
            found |= {id_: totals.get(ordinal, limit) for id_, ordinal in ordinals.items()}
    return found


async def _totals(connection: AsyncConnection, slot: datetime, ordinals: Iterable[int], limit: int) -> dict[int, int]:
    """By ordinal, the number of the slot's posts up to its end; those beyond the limit are left out."""
    until = (subscriptions.c.next_slot == slot) & (subscriptions.c.ordinal <= max(ordinals))
    posts = select(subscriptions.c.ordinal).where(_RUNNING, until).order_by(subscriptions.c.ordinal).limit(limit)
    ordinal = posts.subquery().c.ordinal
    rows = (await connection.execute(select(ordinal, func.count()).group_by(ordinal).order_by(ordinal))).all()
    return dict(zip((row[0] for row in rows), accumulate(row[1] for row in rows), strict=True))
