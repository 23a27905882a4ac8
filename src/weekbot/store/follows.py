"""Channels that follow the home channel, so that Discord itself repeats its posts there."""

from datetime import datetime

from sqlalchemy import delete, select

from weekbot.db.database import Database
from weekbot.db.tables import follows
from weekbot.db.upsert import insert_into
from weekbot.store.guilds import timezone_of


class Follows:
    """What was begun here. That a moderator ended it in the channel's settings is not told to anyone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, guild_id: int, channel_id: int, now: datetime) -> None:
        row = {"guild_id": guild_id, "channel_id": channel_id, "followed_at": now}
        async with self._database.write() as connection:
            await timezone_of(connection, guild_id)  # so that the server has its row
            await connection.execute(insert_into(connection, follows).values(row).on_conflict_do_nothing())

    async def of_guild(self, guild_id: int) -> list[int]:
        """The ids of the server's channels that follow, the first one first."""
        query = select(follows.c.channel_id).where(follows.c.guild_id == guild_id).order_by(follows.c.followed_at)
        async with self._database.read() as connection:
            return list(await connection.scalars(query))

    async def forget(self, channel_id: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(follows).where(follows.c.channel_id == channel_id))
