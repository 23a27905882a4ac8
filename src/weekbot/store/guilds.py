"""Servers and what holds for all their subscriptions."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import islice

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Update

from weekbot.db.database import Database
from weekbot.db.tables import guilds, notices, subscriptions
from weekbot.db.upsert import insert_into
from weekbot.domain.guilds import DEFAULT_TIMEZONE, GuildSettings

AT_ONCE = 20  # servers, which may have many subscriptions each


class Guilds:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def settings(self, guild_id: int) -> GuildSettings:
        query = select(guilds.c.timezone, guilds.c.notices_channel_id).where(guilds.c.guild_id == guild_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
            return GuildSettings(*row) if row else GuildSettings()

    async def set_notice_channel(self, guild_id: int, channel_id: int | None) -> None:
        """Send the server's notices to this channel from now on; if None, to its system channel."""
        async with self._database.write() as connection:
            await timezone_of(connection, guild_id)  # so that it has its row
            await connection.execute(_this(guild_id).values(notices_channel_id=channel_id))

    async def save_locales(self, locales: Mapping[int, str]) -> None:
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
                await connection.execute(_this(guild_id).values(left_at=now, missing_since=None))

    async def joined(self, guild_ids: Collection[int], now: datetime) -> None:
        """The bot is in these servers: it looks at once whether all is well there, and tells anew where it is not."""
        for some in _slices(guild_ids):
            async with self._database.write() as connection:
                for guild_id in some:
                    await _joined(connection, guild_id, now)

    async def missing(self) -> dict[int, datetime]:
        """The servers that may have been left, and since when."""
        query = select(guilds.c.guild_id, guilds.c.missing_since).where(
            guilds.c.left_at.is_(None), guilds.c.missing_since.is_not(None)
        )
        async with self._database.read() as connection:
            return {row.guild_id: row.missing_since for row in await connection.execute(query)}

    async def missed(self, guild_id: int, now: datetime) -> None:
        """The server may have been left: record since when, unless it is missing already."""
        async with self._database.write() as connection:
            await connection.execute(_this(guild_id).where(guilds.c.missing_since.is_(None)).values(missing_since=now))

    async def seen(self, guild_ids: Collection[int]) -> None:
        """These servers aren't missing."""
        for some in _slices(guild_ids):
            async with self._database.write() as connection:
                for guild_id in some:
                    await connection.execute(_this(guild_id).values(missing_since=None))

    async def left_before(self, before: datetime) -> set[int]:
        """The servers that were left before that."""
        return await self._ids(guilds.c.left_at < before)

    async def forget(self, guild_id: int, before: datetime) -> bool:
        """Delete all that is kept of the server, if it was left before that; whether it was."""
        async with self._database.write() as connection:
            this = (guilds.c.guild_id == guild_id) & (guilds.c.left_at < before)
            return bool((await connection.execute(delete(guilds).where(this))).rowcount)

    async def _ids(self, which: ColumnElement[bool]) -> set[int]:
        async with self._database.read() as connection:
            return set((await connection.execute(select(guilds.c.guild_id).where(which))).scalars())


async def timezone_of(connection: AsyncConnection, guild_id: int) -> str:
    """The server's IANA zone; a server that is new gets its row, and nobody else changes it in this transaction."""
    new = insert_into(connection, guilds).values(guild_id=guild_id, timezone=DEFAULT_TIMEZONE)
    await connection.execute(new.on_conflict_do_nothing())
    query = select(guilds.c.timezone).where(guilds.c.guild_id == guild_id).with_for_update(key_share=True)
    return str(await connection.scalar(query))


async def _joined(connection: AsyncConnection, guild_id: int, now: datetime) -> None:
    of_guild = subscriptions.c.guild_id == guild_id
    theirs = select(subscriptions.c.id).where(of_guild)
    await connection.execute(_this(guild_id).values(left_at=None, missing_since=None))
    await connection.execute(update(subscriptions).where(of_guild).values(check_at=now, warning=None))
    await connection.execute(delete(notices).where(notices.c.subscription_id.in_(theirs)))


def _slices(guild_ids: Collection[int]) -> Iterator[list[int]]:
    """So many that a transaction on them is short."""
    ids = iter(sorted(guild_ids))
    while some := list(islice(ids, AT_ONCE)):
        yield some


def _this(guild_id: int) -> Update:
    return update(guilds).where(guilds.c.guild_id == guild_id)
