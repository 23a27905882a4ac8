"""Channels that follow the home channel, so that Discord repeats its posts there."""

from datetime import datetime

from sqlalchemy import delete, select

from weekbot.db.tables import follows
from weekbot.db.upsert import insert_into
from weekbot.store.guilds import ensure_guild
from weekbot.store.repository import Repository


class Follows(Repository):
    """The follows that `/weekly follow` began; Discord doesn't report when a moderator ends one by hand."""

    async def add(self, guild_id: int, channel_id: int, now: datetime) -> None:
        row = {"guild_id": guild_id, "channel_id": channel_id, "followed_at": now}
        async with self._database.write() as connection:
            await ensure_guild(connection, guild_id)
            await connection.execute(insert_into(connection, follows).values(row).on_conflict_do_nothing())

    async def of_guild(self, guild_id: int) -> list[int]:
        """Return the ids of the server's channels that follow, oldest first."""
        query = select(follows.c.channel_id).where(follows.c.guild_id == guild_id).order_by(follows.c.followed_at)
        return list(await self._values(query))

    async def forget(self, channel_id: int) -> None:
        await self._execute(delete(follows).where(follows.c.channel_id == channel_id))
