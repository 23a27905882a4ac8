"""The posts that are made for a slot until a channel's turn, at a cost that is limited."""

from collections.abc import Collection

from sqlalchemy import func, literal, select

from weekbot.db.database import Database
from weekbot.db.tables import subscriptions

_RUNNING = subscriptions.c.active & ~subscriptions.c.paused


async def posts_until_turn(database: Database, subscription_ids: Collection[int], limit: int) -> dict[int, int]:
    """By subscription id, the posts of its next slot up to the end of its turn, among all servers; at most `limit`.

    Paused subscriptions and those that have ended are left out.
    """
    slot, ordinal = subscriptions.c.next_slot, subscriptions.c.ordinal
    # As a condition, `_RUNNING` would make SQLite search all that are active, not the ids.
    asked = select(subscriptions.c.id, slot, ordinal, _RUNNING.label("running"))
    asked = asked.where(subscriptions.c.id.in_(subscription_ids))
    counts = dict[tuple[object, int], int]()
    async with database.read() as connection:
        rows = [row for row in await connection.execute(asked) if row.running]
        for row in {(row.next_slot, row.ordinal): row for row in rows}.values():
            before = select(literal(1)).where(_RUNNING, slot == row.next_slot, ordinal <= row.ordinal).limit(limit)
            count = await connection.scalar(select(func.count()).select_from(before.subquery()))
            counts[row.next_slot, row.ordinal] = count or 0
    return {row.id: counts[row.next_slot, row.ordinal] for row in rows}
