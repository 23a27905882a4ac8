"""Servers and what holds for all their subscriptions."""

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.store.database import Database
from weekbot.store.tables import guilds

DEFAULT_TIMEZONE = "UTC"


class Guilds:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def timezone(self, guild_id: int) -> str:
        """The server's IANA zone, UTC until set."""
        async with self._database.read() as connection:
            query = select(guilds.c.timezone).where(guilds.c.guild_id == guild_id)
            return await connection.scalar(query) or DEFAULT_TIMEZONE


async def timezone_of(connection: AsyncConnection, guild_id: int) -> str:
    """The server's IANA zone; a server that is new gets its row."""
    timezone = await connection.scalar(select(guilds.c.timezone).where(guilds.c.guild_id == guild_id))
    if timezone is None:
        timezone = DEFAULT_TIMEZONE
        await connection.execute(insert(guilds).values(guild_id=guild_id, timezone=timezone))
    return timezone
