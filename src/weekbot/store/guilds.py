"""Servers and the settings that hold for all their subscriptions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain

from sqlalchemy import ColumnElement, Executable, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Update

from weekbot.db.tables import guilds, notices, subscriptions
from weekbot.db.upsert import insert_into
from weekbot.domain.guilds import DEFAULT_TIMEZONE, GuildSettings
from weekbot.store.repository import Repository

BATCH_SIZE = 20  # servers in a transaction; each may have many subscriptions


class Guilds(Repository):
    async def settings(self, guild_id: int) -> GuildSettings:
        query = select(guilds.c.timezone, guilds.c.notices_channel_id).where(guilds.c.guild_id == guild_id)
        return next((GuildSettings(*row) for row in await self._rows(query)), GuildSettings())

    async def set_notice_channel(self, guild_id: int, channel_id: int | None) -> None:
        """Set the channel for the server's notices; None means its system channel."""
        async with self._database.write() as connection:
            await ensure_guild(connection, guild_id)
            await connection.execute(_update(guild_id).values(notices_channel_id=channel_id))

    async def save_locales(self, locales: Mapping[int, str]) -> None:
        """Save the servers' languages, as Discord names them, by server id."""
        if not locales:
            return
        # All servers or a single one: a list of ids could be too long for one statement.
        among = guilds.c.guild_id.between(min(locales), max(locales))
        query = select(guilds.c.guild_id, guilds.c.locale).where(among)
        known = {row.guild_id: row.locale for row in await self._rows(query)}
        changed = {id_: locale for id_, locale in locales.items() if id_ in known and known[id_] != locale}
        if changed:
            async with self._database.write() as connection:
                for guild_id, locale in changed.items():
                    await connection.execute(_update(guild_id).values(locale=locale))

    async def mark_welcomed(self, guild_id: int, now: datetime) -> bool:
        """Return False if the server was welcomed before."""
        new = _update(guild_id).where(guilds.c.welcomed_at.is_(None)).values(welcomed_at=now)
        async with self._database.write() as connection:
            await ensure_guild(connection, guild_id)
            return bool((await connection.execute(new)).rowcount)

    async def present_ids(self) -> set[int]:
        """Return the servers that the bot isn't known to have left."""
        return await self._ids(guilds.c.left_at.is_(None))

    async def left_ids(self) -> set[int]:
        """Return the servers that the bot has left and whose data is still kept."""
        return await self._ids(guilds.c.left_at.is_not(None))

    async def left_before(self, before: datetime) -> set[int]:
        return await self._ids(guilds.c.left_at < before)

    async def missing(self) -> dict[int, datetime]:
        """Return the servers that the bot may have left, with the time since when."""
        is_missing = guilds.c.left_at.is_(None) & guilds.c.missing_since.is_not(None)
        query = select(guilds.c.guild_id, guilds.c.missing_since).where(is_missing)
        return {row.guild_id: row.missing_since for row in await self._rows(query)}

    async def mark_left(self, guild_ids: Collection[int], now: datetime) -> None:
        await self._change_all(guild_ids, lambda id_: [_update(id_).values(left_at=now, missing_since=None)])

    async def mark_joined(self, guild_ids: Collection[int], now: datetime) -> None:
        """Mark the servers as present. Their subscriptions are checked at once, and problems reported anew."""
        await self._change_all(guild_ids, partial(_joined, now))

    async def mark_missing(self, guild_id: int, now: datetime) -> None:
        """Record that the bot may have left the server, unless that is recorded already."""
        await self._execute(_update(guild_id).where(guilds.c.missing_since.is_(None)).values(missing_since=now))

    async def clear_missing(self, guild_ids: Collection[int]) -> None:
        await self._change_all(guild_ids, lambda id_: [_update(id_).values(missing_since=None)])

    async def forget(self, guild_id: int, before: datetime) -> bool:
        """Delete all data of the server, if the bot left it before that; return whether it did."""
        this = (guilds.c.guild_id == guild_id) & (guilds.c.left_at < before)
        return bool(await self._execute(delete(guilds).where(this)))

    async def _ids(self, which: ColumnElement[bool]) -> set[int]:
        return set(await self._values(select(guilds.c.guild_id).where(which)))

    async def _change_all(self, guild_ids: Collection[int], changes: Callable[[int], Sequence[Executable]]) -> None:
        ids = sorted(guild_ids)  # in one order, so that two processes can't wait for each other
        for start in range(0, len(ids), BATCH_SIZE):
            async with self._database.write() as connection:
                for change in chain.from_iterable(map(changes, ids[start : start + BATCH_SIZE])):
                    await connection.execute(change)


async def ensure_guild(connection: AsyncConnection, guild_id: int) -> str:
    """Insert the server if it is new, lock its row for this transaction, and return its IANA time zone."""
    new = insert_into(connection, guilds).values(guild_id=guild_id, timezone=DEFAULT_TIMEZONE)
    await connection.execute(new.on_conflict_do_nothing())
    query = select(guilds.c.timezone).where(guilds.c.guild_id == guild_id).with_for_update(key_share=True)
    return str(await connection.scalar(query))


def _joined(now: datetime, guild_id: int) -> Sequence[Executable]:
    of_guild = subscriptions.c.guild_id == guild_id
    return (
        _update(guild_id).values(left_at=None, missing_since=None),
        update(subscriptions).where(of_guild).values(check_at=now, warning=None),
        delete(notices).where(notices.c.subscription_id.in_(select(subscriptions.c.id).where(of_guild))),
    )


def _update(guild_id: int) -> Update:
    return update(guilds).where(guilds.c.guild_id == guild_id)
