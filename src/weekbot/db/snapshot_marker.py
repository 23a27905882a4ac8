"""The marker of a database that is a copy: when the copy was taken, as the original may have changed since."""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.metadata import get_entry
from weekbot.db.tables import deliveries, metadata_entries, subscriptions
from weekbot.db.upsert import insert_into

TAKEN_AT = "copy_taken_at"
"""The marker's metadata entry. The first leader that uses the copy removes it."""
ALIVE_AT = "alive_at"
"""The metadata entry with the time until which this ledger is known to be complete."""


async def mark_snapshot(connection: AsyncConnection, taken_at: datetime) -> None:
    """Mark the database as a copy. An existing marker, as of a copy's copy, stays."""
    new = insert_into(connection, metadata_entries).values(name=TAKEN_AT, value=taken_at.isoformat())
    await connection.execute(new.on_conflict_do_nothing())


async def mark_restored(connection: AsyncConnection) -> datetime | None:
    """Mark a database that was restored by other means, which don't record when the copy was taken.

    Returns the time from which posts are looked up: the last claimed slot, or the last time at which the ledger was
    known to be complete if that is earlier. None if nothing can have been posted.
    """
    last_slot = await connection.scalar(select(func.max(deliveries.c.slot)))
    first_slot = await connection.scalar(select(func.min(subscriptions.c.next_slot)))
    if first_slot is None:
        return None
    alive_at = await get_entry(connection, ALIVE_AT)
    known = [last_slot or first_slot, *([datetime.fromisoformat(alive_at)] if alive_at else [])]
    await mark_snapshot(connection, min(known))
    return await snapshot_taken_at(connection)


async def snapshot_taken_at(connection: AsyncConnection) -> datetime | None:
    """Return when the copy was taken; None if the database isn't a copy, or has been used since."""
    found = await get_entry(connection, TAKEN_AT)
    return datetime.fromisoformat(found) if found else None


async def remove_snapshot_marker(connection: AsyncConnection) -> datetime | None:
    """Return when the copy was taken, as above."""
    taken_at = await snapshot_taken_at(connection)
    await connection.execute(delete(metadata_entries).where(metadata_entries.c.name == TAKEN_AT))
    return taken_at
