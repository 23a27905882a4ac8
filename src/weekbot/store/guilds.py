"""Servers and what holds for all their subscriptions."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Update

from weekbot.store.database import Database
from weekbot.store.tables import guilds, notices, subscriptions
from weekbot.store.upsert import insert_into

DEFAULT_TIMEZONE = "UTC"


@dataclass(frozen=True)
class GuildSettings:
    """`timezone` is an IANA zone; where `notices_channel_id` is None, notices go to the system channel."""

    timezone: str = DEFAULT_TIMEZONE
    notices_channel_id: int | None = None


class Guilds:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def settings(self, guild_id: int) -> GuildSettings:
        query = select(guilds.c.timezone, guilds.c.notices_channel_id).where(guilds.c.guild_id == guild_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
            return GuildSettings(*row) if row else GuildSettings()

    async def tell_in(self, guild_id: int, channel_id: int) -> None:
        """Tell the server of trouble in this channel from now on."""
        async with self._database.write() as connection:
            await timezone_of(connection, guild_id)  # so that it has its row
            await connection.execute(_this(guild_id).values(notices_channel_id=channel_id))

    async def speak(self, locales: Mapping[int, str]) -> None:
        """The servers, by id, have set their languages to these, as Discord names them; what is new is recorded."""
        if not locales:
            return
        # All servers or a single one: a list of ids could be longer than a statement may be.
        among = guilds.c.guild_id.between(min(locales), max(locales))
        query = select(guilds.c.guild_id, guilds.c.locale).where(among)
        async with self._database.read() as connection:
            known = {row.guild_id: row.locale for row in await connection.execute(query)}
        changed = {id_: locale for id_, locale in locales.items() if id_ in known and known[id_] != locale}
        if changed:
            async with self._database.write() as connection:
                for guild_id, locale in changed.items():
                    await connection.execute(_this(guild_id).values(locale=locale))

    async def welcome(self, guild_id: int, now: datetime) -> bool:
        """Record that the server is greeted; False where it was before."""
        new = _this(guild_id).where(guilds.c.welcomed_at.is_(None)).values(welcomed_at=now)
        async with self._database.write() as connection:
            await timezone_of(connection, guild_id)  # so that it has its row
            return bool((await connection.execute(new)).rowcount)

    async def present(self) -> set[int]:
        """The servers that are not known to have been left."""
        return await self._ids(guilds.c.left_at.is_(None))

    async def away(self) -> set[int]:
        """The servers that were left and are not forgotten yet."""
        return await self._ids(guilds.c.left_at.is_not(None))

    async def left(self, guild_ids: Collection[int], now: datetime) -> None:
        """The bot is no longer in these servers."""
        async with self._database.write() as connection:
            for guild_id in guild_ids:
                await connection.execute(_this(guild_id).values(left_at=now))

    async def joined(self, guild_ids: Collection[int], now: datetime) -> None:
        """The bot is in these servers: it looks at once whether all is well there, and tells anew where it is not."""
        async with self._database.write() as connection:
            for guild_id in guild_ids:
                of_guild = subscriptions.c.guild_id == guild_id
                theirs = select(subscriptions.c.id).where(of_guild)
                await connection.execute(_this(guild_id).values(left_at=None))
                await connection.execute(update(subscriptions).where(of_guild).values(check_at=now, warning=None))
                await connection.execute(delete(notices).where(notices.c.subscription_id.in_(theirs)))

    async def forget_left(self, before: datetime) -> int:
        """Delete all that is kept of the servers that were left before that; how many they were."""
        async with self._database.write() as connection:
            return (await connection.execute(delete(guilds).where(guilds.c.left_at < before))).rowcount

    async def _ids(self, which: ColumnElement[bool]) -> set[int]:
        async with self._database.read() as connection:
            return set((await connection.execute(select(guilds.c.guild_id).where(which))).scalars())


async def timezone_of(connection: AsyncConnection, guild_id: int) -> str:
    """The server's IANA zone; a server that is new gets its row, and nobody else changes it in this transaction."""
    new = insert_into(connection, guilds).values(guild_id=guild_id, timezone=DEFAULT_TIMEZONE)
    await connection.execute(new.on_conflict_do_nothing())
    query = select(guilds.c.timezone).where(guilds.c.guild_id == guild_id).with_for_update(key_share=True)
    return str(await connection.scalar(query))


def _this(guild_id: int) -> Update:
    return update(guilds).where(guilds.c.guild_id == guild_id)
