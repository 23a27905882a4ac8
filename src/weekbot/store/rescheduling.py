"""Rescheduling: corrects slots that are wrong because a clock was, or because a time zone's rules have changed."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, delete, func, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, guilds, subscriptions
from weekbot.domain.deliveries import State
from weekbot.domain.reconciliations import CLOCK_SKEW
from weekbot.domain.schedule import WEEK, Slot, Weekly, next_slot, recompute_slot, week_of
from weekbot.domain.subscriptions import PREFLIGHT_LEAD, Subscription
from weekbot.domain.unreadable_options import unreadable_options, zone_named
from weekbot.store import subscriptions as subs
from weekbot.store.claims import free_instant
from weekbot.store.ordinals import renumber
from weekbot.store.unreadable_values import ZONE, effective_zone

log = logging.getLogger(__name__)

BATCH_SIZE = 500  # subscriptions; a transaction that moves them takes milliseconds
DISCORD_EPOCH_MS = 1_420_070_400_000
MICROSECOND = timedelta(microseconds=1)
_SLOT = subscriptions.c["weekday", "at", "next_slot", "next_week", "last_slot", "last_week", "last_zone"]


async def reschedule(database: Database, now: datetime, catch_up: timedelta) -> None:
    """Withdraw claims that came too early, then compute each next slot anew."""
    with_early_claims = union(
        select(deliveries.c.subscription_id).where(_is_early(now, catch_up)),
        select(subscriptions.c.id).where(subscriptions.c.last_slot > now + CLOCK_SKEW),
    )
    async with database.read() as connection:
        early = sorted(await connection.scalars(with_early_claims))
    for subscription_id in early:
        async with database.write() as connection:
            await _withdraw(connection, subscription_id, now, catch_up)
    await _renew(database, now)


# Claims that came too early because a clock was ahead


def _is_early(now: datetime, catch_up: timedelta) -> ColumnElement[bool]:
    """Select deliveries that were claimed too early, and certainly not posted.

    One that was missed without an attempt was claimed when its catch-up time seemed to be over.
    """
    columns = deliveries.c
    missed = (columns.state == State.MISSED) & (columns.attempts == 0) & (columns.slot > now - catch_up)
    failed = columns.state.in_([State.MISSED, State.BLOCKED])
    unsent = (columns.state == State.PENDING) & columns.first_attempt_at.is_(None)
    return columns.scheduled & (missed | ((failed | unsent) & (columns.slot > now + CLOCK_SKEW)))


async def _withdraw(connection: AsyncConnection, subscription_id: int, now: datetime, catch_up: timedelta) -> None:
    """Delete the claims that came too early, and make the first of their slots the next one."""
    current = await subs.locked(connection, subscription_id)
    this = deliveries.c.subscription_id == subscription_id
    newest = await connection.scalar(select(func.max(deliveries.c.message_id)).where(this))
    if current is None or current.unreadable or (newest and _posted_at(newest) > now + CLOCK_SKEW):
        return  # in the last case, this clock is wrong
    early = (await connection.execute(select(deliveries).where(this, _is_early(now, catch_up)))).all()
    await connection.execute(delete(deliveries).where(deliveries.c.id.in_([row.id for row in early])))
    moved = await _date_back(connection, current, now)
    if early or moved or (current.last_slot and current.last_slot.instant > now + WEEK):
        corrected = _corrected(current, early, await _last_slot(connection, current, now), now)
        await subs.save(connection, corrected)
        log.warning("withdrew %d claims that a wrong clock had made too early", len(early), extra=current.log_fields)


async def _date_back(connection: AsyncConnection, current: Subscription, now: datetime) -> int:
    """Set slots of posts that are more than a week away to the time of the post. Return their number."""
    columns = deliveries.c
    posted = columns.scheduled & (columns.state == State.SENT) & (columns.slot > now + WEEK)
    query = select(columns.id, columns.message_id).where(columns.subscription_id == current.id, posted)
    rows = (await connection.execute(query)).all()
    for row in rows:
        at = await free_instant(connection, current, min(now, _posted_at(row.message_id)) if row.message_id else now)
        await connection.execute(update(deliveries).where(columns.id == row.id).values(slot=at, sent_at=at))
    return len(rows)


async def _last_slot(connection: AsyncConnection, current: Subscription, now: datetime) -> Slot | None:
    """Return the last slot that was claimed in time, or posted less than a week too early."""
    this = deliveries.c.scheduled & (deliveries.c.subscription_id == current.id) & (deliveries.c.slot <= now + WEEK)
    latest = await connection.scalar(select(func.max(deliveries.c.slot)).where(this))
    zone = current.last_slot.zone if current.last_slot else current.weekly.zone
    return Slot(latest, week_of(latest, zone), zone) if latest else None


def _corrected(current: Subscription, early: Sequence[Row[Any]], last: Slot | None, now: datetime) -> Subscription:
    after = min([now, *(row.slot - MICROSECOND for row in early)])
    chosen = current.chosen_topic or next((row.topic for row in early if row.chosen), None)
    return replace(current, last_slot=last, next_slot=next_slot(current.weekly, after, last), chosen_topic=chosen)


def _posted_at(message_id: int) -> datetime:
    """Return the time of the post by Discord's clock, which the message's id contains."""
    return datetime.fromtimestamp(((message_id >> 22) + DISCORD_EPOCH_MS) / 1000, UTC)


# Next slots by rules that have changed, or too far away


async def _renew(database: Database, now: datetime) -> None:
    """Correct next slots. Many subscriptions share a schedule, so each schedule is computed once."""
    zone = effective_zone(guilds.c.timezone)
    query = select(zone.label("zone"), *_SLOT).join(guilds).where(subscriptions.c.active).group_by(zone, *_SLOT)
    async with database.read() as connection:
        schedules = (await connection.execute(query)).all()
    if count := sum([await _move(database, schedule, slot) for schedule, slot in _wrong(schedules, now)]):
        log.warning("moved the next slot of %d channels, because a time zone or a clock has changed", count)


def _wrong(schedules: Iterable[Row[Any]], now: datetime) -> Iterable[tuple[Row[Any], Slot]]:
    """Yield the schedules whose stored next slot is wrong, with the right one."""
    for row in schedules:
        if unreadable_options(row.weekday, row.at, None, row.zone):
            continue
        zone = ZoneInfo(row.zone)
        last = Slot(row.last_slot, row.last_week, zone_named(row.last_zone) or zone) if row.last_slot else None
        weekly = Weekly(row.weekday, time.fromisoformat(row.at), zone)
        slot = recompute_slot(weekly, Slot(row.next_slot, row.next_week, zone), last, now)
        if slot.instant != row.next_slot:
            yield row, slot


async def _move(database: Database, schedule: Row[Any], slot: Slot) -> int:
    """Set the slot of all subscriptions that still have that schedule, in batches. Return their number."""
    same = subscriptions.c.active & (schedule.zone == ZONE)
    for column in _SLOT:
        same &= column.is_not_distinct_from(getattr(schedule, column.name))
    some = subscriptions.c.id.in_(select(subscriptions.c.id).where(same).limit(BATCH_SIZE))
    values = {"next_slot": slot.instant, "next_week": slot.week, "check_at": slot.instant - PREFLIGHT_LEAD}
    count = 0
    while True:
        async with database.write() as connection:
            change = update(subscriptions).where(same, some).values(values).returning(subscriptions.c.guild_id)
            moved = list(await connection.scalars(change))
            await renumber(connection, set(moved))
        count += len(moved)
        if len(moved) < BATCH_SIZE:
            return count
