"""Planning deliveries inside a transaction: which topics were had, and what is inserted for a slot."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import deliveries, subscriptions
from weekbot.db.upsert import insert_into
from weekbot.domain.deliveries import USED_STATES, Delivery, Plan, Planner, State, UsedTopics, manual_id, scheduled_id
from weekbot.domain.planning import apply_plan
from weekbot.domain.schedule import WEEK
from weekbot.domain.subscriptions import Subscription
from weekbot.store import subscriptions as subs
from weekbot.store.rows import row_of

log = logging.getLogger(__name__)

ALREADY_THERE = "nothing is posted, as this week's delivery is in the ledger already (%s)"


async def used_topics_of(
    connection: AsyncConnection, current: Iterable[Subscription], without: str | None = None
) -> dict[int, UsedTopics]:
    """By subscription, the topics used in its round and in later ones, `without` the delivery with that id."""
    rounds = {each.id: each.round for each in current}
    had = {id_: UsedTopics() for id_ in rounds}
    not_earlier = (deliveries.c.subscription_id == subscriptions.c.id) & (deliveries.c.round >= subscriptions.c.round)
    query = (
        select(deliveries.c.subscription_id, deliveries.c.round, deliveries.c.topic, deliveries.c.state)
        .join(subscriptions, not_earlier)
        .where(deliveries.c.subscription_id.in_(had), deliveries.c.state.in_(USED_STATES))
    )
    if without:
        query = query.where(deliveries.c.id != without)
    for row in await connection.execute(query):
        used = had[row.subscription_id]
        if row.round > rounds[row.subscription_id]:
            used = used.later.setdefault(row.round, UsedTopics())
        used.use(row.topic, State(row.state))
    return had


async def insert_planned(
    connection: AsyncConnection,
    current: Sequence[Subscription],
    plan: Planner,
    now: datetime,
    lease: timedelta | None = None,
    *,
    unscheduled: tuple[str, datetime] | None = None,
) -> list[Delivery]:
    """Plan a delivery of each subscription for its next slot, and return those inserted.

    With `unscheduled`, an id and an instant, it is a delivery outside the schedule.

    With a lease, deliveries to be posted are held for their first attempt. If the same week or slot has a row that was
    never posted, because a clock was wrong or an earlier version claimed it, that row is reopened.
    """
    had = await used_topics_of(connection, current)
    planned = [_plan(each, plan(each, had[each.id]), now, unscheduled) for each in current]
    await subs.save_all(connection, [delivery.subscription for delivery in planned])
    known = await _known(connection, planned)
    new, again = list[Delivery](), list[Delivery]()
    for each in planned:
        row = known.get(each.id)
        if row is None or not _is_same_week(row, each):
            new.append(_held(await _apart(connection, each, row), 0, now, lease))
        elif row.state in (State.MISSED, State.BLOCKED):  # certainly not posted
            again.append(_held(replace(each, id=row.id), row.attempts, now, lease))
        else:
            log.info(ALREADY_THERE, State(row.state), extra=replace(each, id=row.id).log_fields)
    await _reopen(connection, again, now)
    return [*await _insert(connection, new, now), *again]


async def _known(connection: AsyncConnection, planned: Sequence[Delivery]) -> dict[str, Row[Any]]:
    """By planned id, the row in the ledger with that id, or otherwise with the same slot."""
    if not planned:
        return {}
    ids, theirs, slots = zip(*((each.id, each.subscription.id, each.slot) for each in planned), strict=True)
    # A condition on pairs of them would make SQLite read the whole ledger.
    same_slot = deliveries.c.subscription_id.in_(theirs) & deliveries.c.slot.in_(set(slots))
    names = ("id", "subscription_id", "slot", "scheduled", "state", "attempts")
    query: Select[Any] = select(*(deliveries.c[name] for name in names))
    rows = (await connection.execute(query.where(deliveries.c.id.in_(ids) | same_slot))).all()
    by_id, by_slot = {row.id: row for row in rows}, {(row.subscription_id, row.slot): row for row in rows}
    found = {each.id: by_id.get(each.id) or by_slot.get((each.subscription.id, each.slot)) for each in planned}
    return {id_: row for id_, row in found.items() if row}


def _is_same_week(row: Row[Any], planned: Delivery) -> bool:
    """Whether the row is the delivery of the planned week: not a manual one, nor one that a wrong clock sent in another
    week.
    """
    return bool(row.scheduled or not planned.scheduled) and abs(row.slot - planned.slot) <= WEEK


async def _apart(connection: AsyncConnection, planned: Delivery, row: Row[Any] | None) -> Delivery:
    """Give the planned delivery an id and an instant that the row doesn't have."""
    if row is None:
        return planned
    if row.id == planned.id:
        return replace(planned, id=manual_id())
    return replace(planned, slot=await free_instant(connection, planned.subscription, planned.slot))


def _held(delivery: Delivery, attempts: int, now: datetime, lease: timedelta | None) -> Delivery:
    """With its first attempt, if there is a lease for one."""
    if lease is None or delivery.state is not State.PENDING:
        return replace(delivery, attempts=attempts)
    return replace(delivery, attempts=attempts + 1, attempt_at=now, retry_at=now + lease)


async def _insert(connection: AsyncConnection, made: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """Without those whose slot has another delivery."""
    if not made:
        return []
    insertion = insert_into(connection, deliveries).on_conflict_do_nothing()
    await connection.execute(insertion, [_row(delivery, now) for delivery in made])
    query = select(deliveries.c.id).where(deliveries.c.id.in_([delivery.id for delivery in made]))
    inserted = set((await connection.execute(query)).scalars())
    return [delivery for delivery in made if delivery.id in inserted]


async def _reopen(connection: AsyncConnection, made: Sequence[Delivery], now: datetime) -> None:
    for delivery in made:
        this = deliveries.c.id == delivery.id
        await connection.execute(update(deliveries).where(this).values(_row(delivery, now)))


def _row(delivery: Delivery, now: datetime) -> dict[str, Any]:
    """One that is held for an attempt may have been made when it is next looked at."""
    return row_of(replace(delivery, first_attempt_at=now if delivery.attempt_at else None))


def _plan(current: Subscription, planned: Plan, now: datetime, unscheduled: tuple[str, datetime] | None) -> Delivery:
    """The planned delivery, with its subscription moved on."""
    moved, slot = apply_plan(current, planned), current.next_slot
    if unscheduled is None:
        moved = moved.advanced_past(slot)
    id_, instant = unscheduled or (scheduled_id(current.channel_id, slot.week), slot.instant)
    return Delivery(
        id=id_,
        subscription=moved,
        slot=instant,
        scheduled=unscheduled is None,
        retry_at=now if planned.state is State.PENDING else None,
        topic=planned.topic,
        round=planned.round,
        chosen=planned.chosen,
        state=planned.state,
        reason=planned.reason,
    )


async def free_instant(connection: AsyncConnection, subscription: Subscription, now: datetime) -> datetime:
    """`now`, or the next microsecond that is no slot of the subscription's: a slot can be had only once."""
    query = select(deliveries.c.slot).where((deliveries.c.subscription_id == subscription.id), deliveries.c.slot >= now)
    taken = set((await connection.execute(query)).scalars())
    taken.add(subscription.next_slot.instant)
    while now in taken:
        now += timedelta(microseconds=1)
    return now
