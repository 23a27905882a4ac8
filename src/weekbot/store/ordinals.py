"""Ordinals: the order in which a server's subscriptions take their turns among those due at the same instant."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import subscriptions
from weekbot.store.rows import CLAIMING, update_each

_claimed = subscriptions.alias("claimed")
_CLAIMED = (
    select(func.count())
    .where(_claimed.c.guild_id == subscriptions.c.guild_id, _claimed.c.last_slot == subscriptions.c.next_slot)
    .correlate(subscriptions)
    .scalar_subquery()
)
"""The number of posts that the server has had for the subscription's next slot."""
_PLACE = func.row_number().over(
    partition_by=subscriptions.c["guild_id", "active", "paused", "next_slot"], order_by=subscriptions.c["ordinal", "id"]
)


async def renumber(connection: AsyncConnection, guild_ids: Collection[int]) -> None:
    """Number each server's running subscriptions that share a next slot from 0, after those claimed for that slot.

    The others are numbered apart: a condition would make SQLite search all that are active. Rows that another
    transaction is changing are left out: waiting could be a deadlock, and the next change of the server numbers them.
    """
    these = subscriptions.c.guild_id.in_(guild_ids)
    turns = select(subscriptions.c.id, (_CLAIMED + _PLACE - 1).label("ordinal")).where(these).subquery()
    wrong = select(turns).join(subscriptions, subscriptions.c.id == turns.c.id)
    wrong = wrong.where(subscriptions.c.ordinal != turns.c.ordinal).with_for_update(of=subscriptions, **CLAIMING)
    if rows := {row.id: {"ordinal": row.ordinal} for row in await connection.execute(wrong)}:
        await update_each(connection, subscriptions, rows)
