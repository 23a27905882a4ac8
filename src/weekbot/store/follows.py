"""Channels that follow the home channel, so that Discord repeats its posts there."""

from datetime import datetime

from sqlalchemy import delete, select

from weekbot.db.database import Database
from weekbot.db.tables import follows
from weekbot.db.upsert import insert_into
from weekbot.store.guilds import ensure_guild


class Follows:
    """The follows that `/weekly follow` began; Discord doesn't report when a moderator ends one by hand."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, guild_id: int, channel_id: int, now: datetime) -> None:
        row = {"guild_id": guild_id, "channel_id": channel_id, "followed_at": now}
        async with self._database.write() as connection:
            await ensure_guild(connection, guild_id)
            await connection.execute(insert_into(connection, follows).values(row).on_conflict_do_nothing())

    async def of_guild(self, guild_id: int) -> list[int]:
        """Return the ids of the server's channels that follow, oldest first."""
        query = select(follows.c.channel_id).where(follows.c.guild_id == guild_id).order_by(follows.c.followed_at)
        async with self._database.read() as connection:
            return list(await connection.scalars(query))

    async def forget(self, channel_id: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(follows).where(follows.c.channel_id == channel_id))
