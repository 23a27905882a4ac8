"""Subscriptions: which channel gets which track, and when its next post is due."""

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, time
from typing import Any, TypeVar, Unpack

from sqlalchemy import Column, ColumnElement, Row, Select, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, guilds, notices, reconciliations, subscriptions
from weekbot.domain.schedule import Slot
from weekbot.domain.shards import ALL, Shards
from weekbot.domain.subscriptions import PREFLIGHT_LEAD, Options, Subscription
from weekbot.domain.unreadable_options import STAND_INS, unreadable_options, zone_named
from weekbot.runtime.errors import WeekbotError
from weekbot.store.guilds import ensure_guild
from weekbot.store.locks import LOCKED, Lock
from weekbot.store.rows import _columns
from weekbot.store.shards import on_shards
from weekbot.store.unreadable_values import UnreadableValues

BATCH = 200  # of what is changed in one transaction


T = TypeVar("T")
Build = Callable[[Subscription | None, str], Subscription]
Change = Callable[[Subscription], Subscription]
_OF_GUILD = {
    "guild_timezone": guilds.c.timezone,
    "guild_left": guilds.c.left_at.is_not(None),
    "guild_notices_id": guilds.c.notices_channel_id,
    "guild_locale": guilds.c.locale,
}
_SELECT = select(subscriptions, *(column.label(name) for name, column in _OF_GUILD.items())).join(guilds)


@dataclass(frozen=True)
class Changed:
    """A subscription before and after a change; `before` is None if it is new."""

    before: Subscription | None
    after: Subscription


class TooManySubscriptionsError(WeekbotError):
    """This server has as many weekly topics as it may have. `/weekly unsubscribe` ends one that is not needed."""


class Subscriptions:
    """A server may have up to `most` subscriptions; existing ones above that stay."""

    def __init__(self, database: Database, most: float = math.inf) -> None:
        self._database = database
        self._most = most
        self._unreadable = UnreadableValues()

    def readable(self) -> ColumnElement[bool]:
        """The condition that a subscription can be read, as far as is known."""
        return self._unreadable.exclusion()

    async def of_channel(self, channel_id: int) -> Subscription | None:
        """The channel's subscription, also one that has ended."""
        async with self._database.read() as connection:
            return await _of_channel(connection, channel_id)

    async def effective_channel(self, channel_id: int, parent_id: int | None, *, ended_too: bool = False) -> int:
        """The channel whose subscription applies here.

        That is the thread's parent if the thread belongs to one of the parent's posts and has no subscription itself;
        with `ended_too` it must never have had one.
        """
        if parent_id is None:
            return channel_id
        own = select(subscriptions.c.id).where(subscriptions.c.channel_id == channel_id)
        own = own if ended_too else own.where(subscriptions.c.active)
        its_post = (deliveries.c.message_id == channel_id) | (deliveries.c.message_channel_id == channel_id)
        post = select(deliveries.c.id).join(subscriptions).where(subscriptions.c.channel_id == parent_id, its_post)
        async with self._database.read() as connection:
            if await connection.scalar(own) is None and await connection.scalar(post.limit(1)):
                return parent_id
        return channel_id

    async def of_guild(self, guild_id: int) -> list[Subscription]:
        """The server's subscriptions, oldest first."""
        query = _SELECT.where(subscriptions.c.guild_id == guild_id, subscriptions.c.active).order_by(subscriptions.c.id)
        async with self._database.read() as connection:
            return [_subscription(row) for row in await connection.execute(query)]

    async def due(
        self, now: datetime, limit: int, without: Collection[int] = (), without_guilds: Collection[int] = ()
    ) -> list[Subscription]:
        """Subscriptions whose slot has come, the longest waiting first, without those of these ids or servers.

        Nor those in whose channel it is still to be looked up what was posted.
        """
        looked_up = select(reconciliations.c.subscription_id)
        which = subscriptions.c.id.not_in(without) & subscriptions.c.id.not_in(looked_up)
        which &= subscriptions.c.guild_id.not_in(without_guilds)
        return await self._waiting(subscriptions.c.next_slot, now, limit, which)

    async def to_check(self, now: datetime, limit: int, shards: Shards = ALL) -> list[Subscription]:
        """Subscriptions on the shards whose next slot is near enough to look whether its post will succeed."""
        which = (subscriptions.c.next_slot > now) & on_shards(shards, subscriptions.c.guild_id)
        return await self._waiting(subscriptions.c.check_at, now, limit, which)

    async def put(self, guild_id: int, channel_id: int, build: Build) -> Changed:
        """Store what `build` makes of the channel's subscription as it stands (None: new) and the server's zone.

        Raises TooManySubscriptionsError.
        """
        async with self._database.write() as connection:
            timezone = await ensure_guild(connection, guild_id)
            current = await _of_channel(connection, channel_id, **LOCKED)
            built = build(current, timezone)
            if not (current and current.active):
                await self._check_room(connection, guild_id)
            if current:
                await forget_notices(connection, built)
                begun = await _unused_round(connection, built) if built.round > current.round else built.round
                return Changed(current, await save(connection, replace(built, round=begun)))
            return Changed(None, await _insert(connection, built))

    async def _check_room(self, connection: AsyncConnection, guild_id: int) -> None:
        active = (subscriptions.c.guild_id == guild_id) & subscriptions.c.active
        count: int = await connection.scalar(select(func.count()).select_from(subscriptions).where(active)) or 0
        if count >= self._most:
            raise TooManySubscriptionsError

    async def change(self, channel_id: int, change: Change) -> Changed | None:
        """Apply the change to the channel's subscription as it stands, in one transaction; None where there is none."""
        async with self._database.write() as connection:
            current = await _of_channel(connection, channel_id, **LOCKED)
            return Changed(current, await save(connection, change(current))) if current else None

    async def reschedule_guild(self, guild_id: int, timezone: str, now: datetime) -> None:
        """Give the server another time zone; subscriptions without one of their own move with it.

        They move in batches, so that a server with thousands blocks no other change.
        """
        async with self._database.write() as connection:
            await ensure_guild(connection, guild_id)
            await connection.execute(update(guilds).where(guilds.c.guild_id == guild_id).values(timezone=timezone))
        last: int | None = 0
        while last is not None:
            last = await self._reschedule_some(guild_id, last, now)

    async def _reschedule_some(self, guild_id: int, after: int, now: datetime) -> int | None:
        """Move the batch after that id. Returns the last id in it, None if it was empty."""
        follows = (subscriptions.c.guild_id == guild_id) & subscriptions.c.timezone.is_(None)
        query = _selected(follows & (subscriptions.c.id > after), LOCKED).order_by(subscriptions.c.id).limit(BATCH)
        async with self._database.write() as connection:
            found = [_subscription(row) for row in await connection.execute(query)]
            await save_all(connection, [each if each.is_due(now) else each.rescheduled(now) for each in found])
        return found[-1].id if found else None

    async def _waiting(
        self, since: Column[datetime], now: datetime, limit: int, which: ColumnElement[bool]
    ) -> list[Subscription]:
        """Those that run and whose instant in that column has come, the longest waiting first; none unreadable."""
        running = subscriptions.c.active & ~subscriptions.c.paused
        query = _SELECT.where(running, since <= now, which).order_by(since, subscriptions.c.ordinal).limit(limit)
        while True:
            async with self._database.read() as connection:
                found = [_subscription(row) for row in await connection.execute(query.where(self.readable()))]
            if not sum(self._unreadable.remember(each.unreadable, each.log_fields) for each in found):
                return [each for each in found if not each.unreadable]


async def _insert(connection: AsyncConnection, new: Subscription) -> Subscription:
    of_guild = select(func.count()).where(subscriptions.c.guild_id == new.guild_id)
    numbered = replace(new, ordinal=await connection.scalar(of_guild) or 0)
    statement = insert(subscriptions).values(_row(numbered)).returning(subscriptions.c.id)
    return replace(numbered, id=(await connection.execute(statement)).scalar_one())


async def by_id(connection: AsyncConnection, subscription_id: int, **lock: Unpack[Lock]) -> Subscription | None:
    return (await by_ids(connection, {subscription_id}, **lock)).get(subscription_id)


async def by_ids(connection: AsyncConnection, ids: set[int], **lock: Unpack[Lock]) -> dict[int, Subscription]:
    """By id; where a lock is given, nobody changes them until the transaction ends."""
    if not ids:
        return {}
    query = _selected(subscriptions.c.id.in_(ids), lock).order_by(subscriptions.c.id)
    rows = await connection.execute(query)
    return {row.id: _subscription(row) for row in rows}


async def with_subscriptions(
    connection: AsyncConnection, rows: Iterable[Row[Any]], make: Callable[[Row[Any], Subscription], T]
) -> list[T]:
    """What is made of rows that name a subscription, and of that."""
    rows = list(rows)
    known = await by_ids(connection, {row.subscription_id for row in rows})
    return [make(row, known[row.subscription_id]) for row in rows]


async def save(connection: AsyncConnection, subscription: Subscription) -> Subscription:
    await save_all(connection, [subscription])
    return subscription


async def save_all(connection: AsyncConnection, changed: Iterable[Subscription]) -> None:
    rows = [{"_id": subscription.id, **_row(subscription)} for subscription in changed]
    for columns in dict.fromkeys(tuple(row) for row in rows):
        same = [row for row in rows if tuple(row) == columns]
        await connection.execute(update(subscriptions).where(subscriptions.c.id == bindparam("_id")), same)


async def forget_notices(connection: AsyncConnection, subscription: Subscription) -> None:
    """What was told of the subscription is over: should it come again, it is told again."""
    await connection.execute(delete(notices).where(notices.c.subscription_id == subscription.id))


async def _unused_round(connection: AsyncConnection, begun: Subscription) -> int:
    """The round that was begun, or a later one if a slot began that round already, while the last one was pending."""
    query = select(func.max(deliveries.c.round)).where(deliveries.c.subscription_id == begun.id)
    return max(begun.round, (await connection.scalar(query) or 0) + 1)


async def _of_channel(connection: AsyncConnection, channel_id: int, **lock: Unpack[Lock]) -> Subscription | None:
    row = (await connection.execute(_selected(subscriptions.c.channel_id == channel_id, lock))).first()
    return _subscription(row) if row else None


def _selected(which: ColumnElement[bool], lock: Lock) -> Select[Any]:
    """Where a lock is given, the subscriptions alone are locked, not their servers."""
    query = _SELECT.where(which)
    return query.with_for_update(of=subscriptions, **lock) if lock else query


def _subscription(row: Row[Any]) -> Subscription:
    columns = _columns(row)
    chosen = {name: columns.pop(name) for name in Options.__dataclass_fields__}
    unreadable = unreadable_options(chosen["weekday"], chosen["at"], chosen["timezone"], row.guild_timezone)
    chosen |= {each.option: STAND_INS[each.option] for each in unreadable}
    options = Options(**chosen | {"at": time.fromisoformat(chosen["at"])})
    zone = options.weekly(row.guild_timezone).zone
    slot = Slot(columns.pop("next_slot"), columns.pop("next_week"), zone)
    last = [columns.pop(name) for name in ("last_slot", "last_week", "last_zone")]
    del columns["check_at"]
    last_slot = Slot(last[0], last[1], zone_named(last[2] or "") or zone) if last[0] else None
    return Subscription(options=options, next_slot=slot, last_slot=last_slot, unreadable=unreadable, **columns)


def _row(subscription: Subscription) -> dict[str, Any]:
    own = set(Subscription.__dataclass_fields__) - {"id", "unreadable", *_OF_GUILD}
    columns = {name: getattr(subscription, name) for name in own}
    options = asdict(columns.pop("options")) | {"at": f"{subscription.options.at:%H:%M}"}
    slot, last = columns.pop("next_slot"), columns.pop("last_slot")
    if subscription.unreadable:
        return {**columns, **{name: value for name, value in options.items() if name not in STAND_INS}}
    slots: dict[str, Any] = {
        "next_slot": slot.instant,
        "next_week": slot.week,
        "check_at": slot.instant - PREFLIGHT_LEAD,
    }
    instant, week, zone = (last.instant, last.week, last.zone.key) if last else (None, None, None)
    slots |= {"last_slot": instant, "last_week": week, "last_zone": zone}
    return {**columns, **options, **slots}
