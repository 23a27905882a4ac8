"""Planning deliveries inside a transaction: those to insert, and one whose message shows another topic."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import deliveries, subscriptions
from weekbot.db.upsert import insert_into
from weekbot.domain.deliveries import USED_STATES, Delivery, Plan, Planner, State, UsedTopics, manual_id, scheduled_id
from weekbot.domain.planning import apply_plan
from weekbot.domain.schedule import WEEK
from weekbot.domain.subscriptions import Subscription
from weekbot.store import subscriptions as subs
from weekbot.store.rows import delivery_of, row_of

log = logging.getLogger(__name__)

ALREADY_THERE = "nothing is posted, as this week's delivery is in the ledger already (%s)"
REPEATED_WITHIN = timedelta(minutes=1)
DONE_AT = func.coalesce(deliveries.c.sent_at, deliveries.c.first_attempt_at, deliveries.c.slot)
"""The instant at which a delivery was made, which may be long after its slot."""


@dataclass(frozen=True)
class ShownTopic:
    """The topic that a delivery's message shows, and the planner that counts it as used.

    It isn't the planned topic if a process with another ledger posted the message.
    """

    slug: str
    plan: Planner


@dataclass(frozen=True)
class ManualAction:
    """A moderator's action: skip or post the next topic, or only `topic` if that is the next one."""

    skips: bool
    topic: str | None = None
    interaction_id: int | None = None


async def used_topics_of(
    connection: AsyncConnection, current: Iterable[Subscription], without: str | None = None
) -> dict[int, UsedTopics]:
    """By subscription id, the topics used in its round and in later ones, `without` the delivery with that id."""
    rounds = {each.id: each.round for each in current}
    found = {id_: UsedTopics() for id_ in rounds}
    not_earlier = (deliveries.c.subscription_id == subscriptions.c.id) & (deliveries.c.round >= subscriptions.c.round)
    query = select(*deliveries.c["subscription_id", "round", "topic", "state"]).join(subscriptions, not_earlier)
    query = query.where(deliveries.c.subscription_id.in_(found))
    if without:
        query = query.where(deliveries.c.id != without)
    for row in await connection.execute(query):
        if row.state not in USED_STATES:  # as a condition, SQLite would search the whole ledger by state
            continue
        used = found[row.subscription_id]
        if row.round > rounds[row.subscription_id]:
            used = used.later.setdefault(row.round, UsedTopics())
        used.use(row.topic, State(row.state))
    return found


async def plan_for(
    connection: AsyncConnection, current: Subscription, plan: Planner, without: str | None = None
) -> Plan:
    return plan(current, (await used_topics_of(connection, [current], without))[current.id])


async def insert_planned(
    connection: AsyncConnection,
    current: Sequence[Subscription],
    plan: Planner,
    now: datetime,
    lease: timedelta | None = None,
    *,
    unscheduled: tuple[str, datetime] | None = None,
) -> list[Delivery]:
    """Plan a delivery for each subscription's next slot, and return those inserted.

    `unscheduled` is the id and instant of one outside the schedule. With a lease, deliveries to be posted are leased
    for their first attempt. If the same week or slot has a row that was never posted, because a clock was wrong or an
    earlier version claimed it, that row is reopened.
    """
    used = await used_topics_of(connection, current)
    planned = [_delivery(each, plan(each, used[each.id]), now, unscheduled) for each in current]
    await subs.save_all(connection, [delivery.subscription for delivery in planned])
    known = await _known_rows(connection, planned)
    new, reopened = list[Delivery](), list[Delivery]()
    for each in planned:
        row = known.get(each.id)
        if row is None or not _is_same_week(row, each):
            new.append(leased(await _distinct(connection, each, row), now, lease))
        elif row.state in (State.MISSED, State.BLOCKED):  # certainly not posted
            reopened.append(leased(replace(each, id=row.id, attempts=row.attempts), now, lease))
        else:
            log.info(ALREADY_THERE, State(row.state), extra=replace(each, id=row.id).log_fields)
    for each in reopened:
        await connection.execute(update(deliveries).where(deliveries.c.id == each.id).values(_row(each, now)))
    return [*await _insert(connection, new, now), *reopened]


async def _known_rows(connection: AsyncConnection, planned: Sequence[Delivery]) -> dict[str, Row[Any]]:
    """By planned id, the ledger's row with that id, or else with the same slot."""
    if not planned:
        return {}
    ids, subscription_ids, slots = zip(*((each.id, each.subscription.id, each.slot) for each in planned), strict=True)
    # A condition on pairs of them would make SQLite read the whole ledger.
    same_slot = deliveries.c.subscription_id.in_(subscription_ids) & deliveries.c.slot.in_(set(slots))
    columns = deliveries.c["id", "subscription_id", "slot", "scheduled", "state", "attempts"]
    rows = (await connection.execute(select(*columns).where(deliveries.c.id.in_(ids) | same_slot))).all()
    by_id, by_slot = {row.id: row for row in rows}, {(row.subscription_id, row.slot): row for row in rows}
    found = {each.id: by_id.get(each.id) or by_slot.get((each.subscription.id, each.slot)) for each in planned}
    return {id_: row for id_, row in found.items() if row}


def _is_same_week(row: Row[Any], planned: Delivery) -> bool:
    """False for a manual delivery, and for one that a wrong clock sent in another week."""
    return bool(row.scheduled or not planned.scheduled) and abs(row.slot - planned.slot) <= WEEK


async def _distinct(connection: AsyncConnection, planned: Delivery, row: Row[Any] | None) -> Delivery:
    """The planned delivery with an id and an instant that the row doesn't have."""
    if row is None:
        return planned
    if row.id == planned.id:
        return replace(planned, id=manual_id())
    return replace(planned, slot=await free_instant(connection, planned.subscription, planned.slot))


def leased(delivery: Delivery, now: datetime, lease: timedelta | None) -> Delivery:
    """Return the delivery with its next attempt begun, if it is pending and there is a lease."""
    if lease is None or delivery.state is not State.PENDING:
        return delivery
    return replace(delivery, attempts=delivery.attempts + 1, attempt_at=now, retry_at=now + lease)


async def _insert(connection: AsyncConnection, new: Sequence[Delivery], now: datetime) -> list[Delivery]:
    if not new:
        return []
    insertion = insert_into(connection, deliveries).on_conflict_do_nothing()
    await connection.execute(insertion, [_row(delivery, now) for delivery in new])
    query = select(deliveries.c.id).where(deliveries.c.id.in_([delivery.id for delivery in new]))
    inserted = set(await connection.scalars(query))
    return [delivery for delivery in new if delivery.id in inserted]


def _row(delivery: Delivery, now: datetime) -> dict[str, Any]:
    """If this process dies, the next attempt must know that a leased delivery may have been posted."""
    return row_of(replace(delivery, first_attempt_at=now if delivery.attempt_at else None))


def _delivery(
    current: Subscription, planned: Plan, now: datetime, unscheduled: tuple[str, datetime] | None
) -> Delivery:
    moved, slot = apply_plan(current, planned), current.next_slot
    id_, instant = unscheduled or (scheduled_id(current.channel_id, slot.week), slot.instant)
    return Delivery(
        id=id_,
        subscription=moved if unscheduled else moved.advanced_past(slot),
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
    """`now`, or the next microsecond that isn't a slot of the subscription, because slots are unique."""
    query = select(deliveries.c.slot).where(deliveries.c.subscription_id == subscription.id, deliveries.c.slot >= now)
    taken = {*await connection.scalars(query), subscription.next_slot.instant}
    while now in taken:
        now += timedelta(microseconds=1)
    return now


def done_recently(now: datetime) -> ColumnElement[bool]:
    """The condition that a delivery was made within the last minute, or by a clock that is slightly ahead."""
    return DONE_AT.between(now - REPEATED_WITHIN, now + REPEATED_WITHIN)


async def find_repeated(
    connection: AsyncConnection, subscription: Subscription, action: ManualAction, now: datetime
) -> Delivery | None:
    """The channel's latest manual delivery of the last minute, if the action would do the same."""
    states = [State.SKIPPED] if action.skips else [State.PENDING, State.SENT, State.UNVERIFIED]
    same = (deliveries.c.subscription_id == subscription.id) & ~deliveries.c.scheduled & deliveries.c.state.in_(states)
    query = select(deliveries).where(same, done_recently(now)).order_by(deliveries.c.slot.desc())
    row = (await connection.execute(query)).first()
    return delivery_of(row, subscription) if row and action.topic in (None, row.topic) else None


async def record_shown_topic(connection: AsyncConnection, delivery_id: str, shown: ShownTopic) -> None:
    """Count the posted topic as used, and make the planned topic the next one again."""
    this = deliveries.c.id == delivery_id
    row = (await connection.execute(select(deliveries).where(this))).one()
    current = await subs.locked(connection, row.subscription_id)
    if current is None or row.topic == shown.slug:
        return
    planned = await plan_for(connection, current, shown.plan, without=delivery_id)
    values = {"topic": shown.slug, "round": planned.round, "chosen": planned.chosen}
    await connection.execute(update(deliveries).where(this).values(values))
    await subs.save(connection, apply_plan(_with_choice(current, row), planned))


def _with_choice(current: Subscription, row: Row[Any]) -> Subscription:
    """Restore a moderator's choice, unless another topic was chosen meanwhile or a new round has begun."""
    undone = row.chosen and current.chosen_topic is None and current.round <= row.round
    return replace(current, chosen_topic=row.topic) if undone else current
