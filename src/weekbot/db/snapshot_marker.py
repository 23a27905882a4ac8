"""The stamp that a copy of a database carries: as of when it was taken, since others may have written to the first."""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import deliveries, facts, subscriptions
from weekbot.db.upsert import insert_into

TAKEN_AT = "copy_taken_at"
"""The fact; the first bot that sends with the copy takes it off."""
ALIVE_AT = "alive_at"
"""The name of the fact that stores the time until which this ledger is known to be complete."""
_TAKEN_AT = select(facts.c.value).where(facts.c.name == TAKEN_AT)


async def stamp(connection: AsyncConnection, taken_at: datetime) -> None:
    """A copy of a copy that was never used keeps the stamp of the first."""
    new = insert_into(connection, facts).values(name=TAKEN_AT, value=taken_at.isoformat())
    await connection.execute(new.on_conflict_do_nothing())


async def stamp_as_restored(connection: AsyncConnection) -> datetime | None:
    """Stamp a database that was restored by other means, which don't record when the copy was taken.

    Returns the time from which posts are looked up: the last claimed slot, or the last time at which the ledger was
    known to be complete if that is earlier. None if nothing can have been posted.
    """
    last_slot = await connection.scalar(select(func.max(deliveries.c.slot)))
    first_slot = await connection.scalar(select(func.min(subscriptions.c.next_slot)))
    if first_slot is None:
        return None
    alive_at = await connection.scalar(select(facts.c.value).where(facts.c.name == ALIVE_AT))
    known = [last_slot or first_slot, *([datetime.fromisoformat(alive_at)] if alive_at else [])]
    await stamp(connection, min(known))
    return datetime.fromisoformat(await connection.scalar(_TAKEN_AT) or "")


async def is_stamped(connection: AsyncConnection) -> bool:
    return await connection.scalar(_TAKEN_AT) is not None


async def take_off(connection: AsyncConnection) -> datetime | None:
    """When the copy was taken; None where the database is none, or was used already."""
    found = await connection.scalar(_TAKEN_AT)
    await connection.execute(delete(facts).where(facts.c.name == TAKEN_AT))
    return datetime.fromisoformat(found) if found else None
