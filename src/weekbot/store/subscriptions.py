"""The subscribed channels, each with its track and its next slot."""

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, time
from typing import Any, TypeVar, Unpack

from sqlalchemy import Column, ColumnElement, Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, guilds, notices, reconciliations, subscriptions
from weekbot.domain.schedule import Slot
from weekbot.domain.shards import ALL, Shards
from weekbot.domain.subscriptions import PREFLIGHT_LEAD, Options, Subscription
from weekbot.domain.unreadable_options import STAND_INS, unreadable_options, zone_named
from weekbot.runtime.errors import WeekbotError
from weekbot.store.guilds import ensure_guild
from weekbot.store.ordinals import renumber
from weekbot.store.repository import Repository
from weekbot.store.rows import LOCKED, Lock, on_shards, update_each
from weekbot.store.unreadable_values import UnreadableValues

BATCH = 200  # subscriptions changed in one transaction
T = TypeVar("T")
Build = Callable[[Subscription | None, str], Subscription]
Change = Callable[[Subscription], Subscription]
_GUILD_COLUMNS = {
    "guild_timezone": guilds.c.timezone,
    "guild_left": guilds.c.left_at.is_not(None),
    "guild_notices_id": guilds.c.notices_channel_id,
    "guild_locale": guilds.c.locale,
}
_SELECT = select(subscriptions, *(column.label(name) for name, column in _GUILD_COLUMNS.items())).join(guilds)


@dataclass(frozen=True)
class Changed:
    """A subscription before and after a change; `before` is None if it is new."""

    before: Subscription | None
    after: Subscription


class TooManySubscriptionsError(WeekbotError):
    """This server has reached its limit of weekly topics. To make room, end one with `/weekly unsubscribe`."""


class Subscriptions(Repository):
    """A server may have up to `limit` subscriptions; existing ones above that stay."""

    def __init__(self, database: Database, limit: float = math.inf) -> None:
        super().__init__(database)
        self._limit = limit
        self._unreadable = UnreadableValues()

    def readable(self) -> ColumnElement[bool]:
        """The condition that a subscription isn't known to be unreadable."""
        return self._unreadable.exclusion()

    async def of_channel(self, channel_id: int) -> Subscription | None:
        """The channel's subscription, even if it has ended."""
        async with self._database.read() as connection:
            return await _of_channel(connection, channel_id)

    async def effective_channel(self, channel_id: int, parent_id: int | None, *, ended_too: bool = False) -> int:
        """The channel whose subscription applies in this channel or thread.

        That is the parent of a thread that belongs to one of the parent's posts and has no subscription itself; with
        `ended_too`, not even one that has ended.
        """
        if parent_id is None:
            return channel_id
        own = select(subscriptions.c.id).where(subscriptions.c.channel_id == channel_id)
        own = own if ended_too else own.where(subscriptions.c.active)
        in_thread = (deliveries.c.message_id == channel_id) | (deliveries.c.message_channel_id == channel_id)
        post = select(deliveries.c.id).join(subscriptions).where(subscriptions.c.channel_id == parent_id, in_thread)
        async with self._database.read() as connection:
            belongs = await connection.scalar(own) is None and await connection.scalar(post.limit(1)) is not None
        return parent_id if belongs else channel_id

    async def of_guild(self, guild_id: int) -> list[Subscription]:
        """The server's subscriptions, oldest first."""
        query = _SELECT.where(subscriptions.c.guild_id == guild_id, subscriptions.c.active).order_by(subscriptions.c.id)
        return [_subscription(row) for row in await self._rows(query)]

    async def due(
        self, now: datetime, limit: int, excluding: Collection[int] = (), excluding_guilds: Collection[int] = ()
    ) -> list[Subscription]:
        """Subscriptions whose slot has come, longest waiting first, except the excluded ids and servers.

        A channel whose history is still to be looked up is excluded, too.
        """
        in_look_up = select(reconciliations.c.subscription_id)
        included = subscriptions.c.id.not_in(excluding) & subscriptions.c.id.not_in(in_look_up)
        included &= subscriptions.c.guild_id.not_in(excluding_guilds)
        return await self._due(subscriptions.c.next_slot, now, limit, included)

    async def due_for_check(self, now: datetime, limit: int, shards: Shards = ALL) -> list[Subscription]:
        """Subscriptions on the shards whose next post is due for a preflight check."""
        upcoming = (subscriptions.c.next_slot > now) & on_shards(shards, subscriptions.c.guild_id)
        return await self._due(subscriptions.c.check_at, now, limit, upcoming)

    async def put(self, guild_id: int, channel_id: int, build: Build) -> Changed:
        """Store what `build` returns for the channel's current subscription (None: new) and the server's time zone.

        Raises TooManySubscriptionsError.
        """
        async with self._database.write() as connection:
            timezone = await ensure_guild(connection, guild_id)
            current = await _of_channel(connection, channel_id, **LOCKED)
            built = build(current, timezone)
            if not (current and current.active):
                await self._check_limit(connection, guild_id)
            if current is None:
                return Changed(None, await _insert(connection, built))
            await delete_notices(connection, built)
            begun = await _unused_round(connection, built) if built.round > current.round else built.round
            return Changed(current, await save(connection, replace(built, round=begun)))

    async def _check_limit(self, connection: AsyncConnection, guild_id: int) -> None:
        active = (subscriptions.c.guild_id == guild_id) & subscriptions.c.active
        count: int = await connection.scalar(select(func.count()).select_from(subscriptions).where(active)) or 0
        if count >= self._limit:
            raise TooManySubscriptionsError

    async def change(self, channel_id: int, change: Change) -> Changed | None:
        """Change the channel's current subscription in one transaction; None if there is none."""
        async with self._database.write() as connection:
            current = await _of_channel(connection, channel_id, **LOCKED)
            return Changed(current, await save(connection, change(current))) if current else None

    async def reschedule_guild(self, guild_id: int, timezone: str, now: datetime) -> None:
        """Change the server's time zone, and move the subscriptions that use it, in batches that don't block others."""
        async with self._database.write() as connection:
            await ensure_guild(connection, guild_id)
            await connection.execute(update(guilds).where(guilds.c.guild_id == guild_id).values(timezone=timezone))
        last_id: int | None = 0
        while last_id is not None:
            last_id = await self._reschedule_batch(guild_id, last_id, now)

    async def _reschedule_batch(self, guild_id: int, after_id: int, now: datetime) -> int | None:
        """Move the next batch after that id; return the last id in it, None if it was empty."""
        follows = (subscriptions.c.guild_id == guild_id) & subscriptions.c.timezone.is_(None)
        query = _selected(follows & (subscriptions.c.id > after_id), LOCKED).order_by(subscriptions.c.id).limit(BATCH)
        async with self._database.write() as connection:
            found = [_subscription(row) for row in await connection.execute(query)]
            await save_all(connection, [each if each.is_due(now) else each.rescheduled(now) for each in found])
        return found[-1].id if found else None

    async def _due(
        self, column: Column[datetime], now: datetime, limit: int, where: ColumnElement[bool]
    ) -> list[Subscription]:
        """Readable running subscriptions whose instant in the column has come, longest waiting first."""
        running = subscriptions.c.active & ~subscriptions.c.paused
        query = _SELECT.where(running, column <= now, where).order_by(column, subscriptions.c.ordinal).limit(limit)
        while True:
            found = [_subscription(row) for row in await self._rows(query.where(self.readable()))]
            if not sum(self._unreadable.remember(each.unreadable, each.log_fields) for each in found):
                return [each for each in found if not each.unreadable]


async def _insert(connection: AsyncConnection, new: Subscription) -> Subscription:
    last = select(func.count()).where(subscriptions.c.guild_id == new.guild_id).scalar_subquery()
    statement = insert(subscriptions).values(**_row(new), ordinal=last).returning(subscriptions.c.id)
    inserted = replace(new, id=(await connection.execute(statement)).scalar_one())
    await renumber(connection, [new.guild_id])
    return inserted


async def locked(connection: AsyncConnection, subscription_id: int) -> Subscription | None:
    return (await by_ids(connection, {subscription_id}, **LOCKED)).get(subscription_id)


async def by_ids(connection: AsyncConnection, ids: set[int], **lock: Unpack[Lock]) -> dict[int, Subscription]:
    """The subscriptions by id; with a lock, nobody else changes them until the transaction ends."""
    if not ids:
        return {}
    query = _selected(subscriptions.c.id.in_(ids), lock).order_by(subscriptions.c.id)
    return {row.id: _subscription(row) for row in await connection.execute(query)}


async def with_subscriptions(
    connection: AsyncConnection, query: Select[Any], make: Callable[[Row[Any], Subscription], T]
) -> list[T]:
    """Call `make` with each row of the query and the subscription that its `subscription_id` names."""
    rows = (await connection.execute(query)).all()
    known = await by_ids(connection, {row.subscription_id for row in rows})
    return [make(row, known[row.subscription_id]) for row in rows]


async def save(connection: AsyncConnection, subscription: Subscription) -> Subscription:
    await save_all(connection, [subscription])
    return subscription


async def save_all(connection: AsyncConnection, changed: Iterable[Subscription]) -> None:
    rows = {subscription.id: _row(subscription) for subscription in changed}
    for columns in dict.fromkeys(map(tuple, rows.values())):
        await update_each(connection, subscriptions, {id_: row for id_, row in rows.items() if tuple(row) == columns})
    if rows:
        await renumber(connection, {row["guild_id"] for row in rows.values()})


async def delete_notices(connection: AsyncConnection, subscription: Subscription) -> None:
    """Forget past notices, so that moderators are notified if the same problem returns."""
    await connection.execute(delete(notices).where(notices.c.subscription_id == subscription.id))


async def _unused_round(connection: AsyncConnection, begun: Subscription) -> int:
    """The begun round, or a later one if a slot began that round while an earlier one was pending."""
    query = select(func.max(deliveries.c.round)).where(deliveries.c.subscription_id == begun.id)
    return max(begun.round, (await connection.scalar(query) or 0) + 1)


async def _of_channel(connection: AsyncConnection, channel_id: int, **lock: Unpack[Lock]) -> Subscription | None:
    row = (await connection.execute(_selected(subscriptions.c.channel_id == channel_id, lock))).first()
    return _subscription(row) if row else None


def _selected(where: ColumnElement[bool], lock: Lock) -> Select[Any]:
    """A lock applies to the subscriptions only, not to their servers."""
    query = _SELECT.where(where)
    return query.with_for_update(of=subscriptions, **lock) if lock else query


def _subscription(row: Row[Any]) -> Subscription:
    columns = row._asdict()
    chosen = {name: columns.pop(name) for name in Options.__dataclass_fields__}
    unreadable = unreadable_options(chosen["weekday"], chosen["at"], chosen["timezone"], row.guild_timezone)
    chosen |= {each.option: STAND_INS[each.option] for each in unreadable}
    options = Options(**chosen | {"at": time.fromisoformat(chosen["at"])})
    zone = options.weekly(row.guild_timezone).zone
    slot = Slot(columns.pop("next_slot"), columns.pop("next_week"), zone)
    last, last_week, last_zone = (columns.pop(name) for name in ("last_slot", "last_week", "last_zone"))
    for name in ("check_at", "ordinal"):
        del columns[name]
    last_slot = Slot(last, last_week, zone_named(last_zone or "") or zone) if last else None
    return Subscription(options=options, next_slot=slot, last_slot=last_slot, unreadable=unreadable, **columns)


def _row(subscription: Subscription) -> dict[str, Any]:
    own = set(Subscription.__dataclass_fields__) - {"id", "unreadable", *_GUILD_COLUMNS}
    columns = {name: getattr(subscription, name) for name in own}
    options = asdict(columns.pop("options")) | {"at": f"{subscription.options.at:%H:%M}"}
    slot, last = columns.pop("next_slot"), columns.pop("last_slot")
    if subscription.unreadable:
        return {**columns, **{name: value for name, value in options.items() if name not in STAND_INS}}
    instant, week, zone = (last.instant, last.week, last.zone.key) if last else (None, None, None)
    next_columns = {"next_slot": slot.instant, "next_week": slot.week, "check_at": slot.instant - PREFLIGHT_LEAD}
    return {**columns, **options, **next_columns, "last_slot": instant, "last_week": week, "last_zone": zone}
