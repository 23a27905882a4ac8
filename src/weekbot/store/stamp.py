"""The stamp that a copy of a database carries: as of when it was taken, since others may have written to the first."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.store.tables import facts
from weekbot.store.upsert import insert_into

TAKEN_AT = "copy_taken_at"
"""The fact; the first bot that sends with the copy takes it off."""
_TAKEN_AT = select(facts.c.value).where(facts.c.name == TAKEN_AT)


async def stamp(connection: AsyncConnection, taken_at: datetime) -> None:
    """A copy of a copy that was never used keeps the stamp of the first."""
    new = insert_into(connection, facts).values(name=TAKEN_AT, value=taken_at.isoformat())
    await connection.execute(new.on_conflict_do_nothing())


async def is_stamped(connection: AsyncConnection) -> bool:
    return await connection.scalar(_TAKEN_AT) is not None


async def take_off(connection: AsyncConnection) -> datetime | None:
    """When the copy was taken; None where the database is none, or was used already."""
    found = await connection.scalar(_TAKEN_AT)
    await connection.execute(delete(facts).where(facts.c.name == TAKEN_AT))
    return datetime.fromisoformat(found) if found else None
