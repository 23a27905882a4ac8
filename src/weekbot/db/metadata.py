"""Metadata: named values that outlive a restart. These functions run inside the caller's transaction."""

from sqlalchemy import BigInteger, String, cast, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import metadata_entries
from weekbot.db.upsert import insert_into

_COLUMNS = metadata_entries.c


async def get_entry(connection: AsyncConnection, name: str) -> str | None:
    return await connection.scalar(select(_COLUMNS.value).where(_COLUMNS.name == name))


async def put_entry(connection: AsyncConnection, name: str, value: str) -> None:
    new = insert_into(connection, metadata_entries).values(name=name, value=value)
    await connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


async def increment_entry(connection: AsyncConnection, name: str) -> int:
    """Count up from 1, and return the new count."""
    new = insert_into(connection, metadata_entries).values(name=name, value="1")
    more = cast(cast(_COLUMNS.value, BigInteger) + 1, String)
    statement = new.on_conflict_do_update(index_elements=["name"], set_={"value": more}).returning(_COLUMNS.value)
    return int(str(await connection.scalar(statement)))
