"""Planning deliveries inside a transaction: which topics were had, and what is inserted for a slot."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.store import subscriptions as subs
from weekbot.store.delivery import HAD, Delivery, Plan, Planner, State, row_of
from weekbot.store.subscriptions import Subscription
from weekbot.store.tables import deliveries, subscriptions
from weekbot.store.upsert import insert_into


def is_still_due(seen: Subscription, current: Subscription) -> bool:
    running = current.active and not current.paused and not current.unreadable
    return running and current.next_slot == seen.next_slot


async def had_by(connection: AsyncConnection, current: Iterable[Subscription]) -> dict[int, set[str]]:
    """By subscription, the topics it had in its round."""
    had: dict[int, set[str]] = {each.id: set() for each in current}
    same_round = (deliveries.c.subscription_id == subscriptions.c.id) & (deliveries.c.round == subscriptions.c.round)
    query = (
        select(deliveries.c.subscription_id, deliveries.c.topic)
        .join(subscriptions, same_round)
        .where(deliveries.c.subscription_id.in_(had), deliveries.c.state.in_(HAD))
    )
    for row in await connection.execute(query):
        had[row.subscription_id].add(row.topic)
    return had


async def insert_planned(
    connection: AsyncConnection,
    current: Sequence[Subscription],
    plan: Planner,
    now: datetime,
    *,
    unscheduled_slot: datetime | None = None,
) -> list[Delivery]:
    """Plan a delivery of each subscription for its next slot, or for one outside its schedule; those inserted."""
    had = await had_by(connection, current)
    made = [_plan(each, plan(each, had[each.id]), now, unscheduled_slot) for each in current]
    await subs.save_all(connection, [delivery.subscription for delivery in made])
    if not made:
        return []
    insertion = insert_into(connection, deliveries).on_conflict_do_nothing()
    await connection.execute(insertion, [row_of(delivery) for delivery in made])
    query = select(deliveries.c.id).where(deliveries.c.id.in_([delivery.id for delivery in made]))
    inserted = set((await connection.execute(query)).scalars())
    return [delivery for delivery in made if delivery.id in inserted]


def _plan(current: Subscription, planned: Plan, now: datetime, unscheduled_slot: datetime | None) -> Delivery:
    """The planned delivery, with its subscription moved on."""
    moved, slot = in_round(current, planned), current.next_slot
    if unscheduled_slot is None:
        moved = moved.past(slot)
    return Delivery(
        id=secrets.token_hex(12),
        subscription=moved,
        slot=unscheduled_slot or slot.instant,
        scheduled=unscheduled_slot is None,
        retry_at=now if planned.state is State.PENDING else None,
        topic=planned.topic,
        round=planned.round,
        chosen=planned.chosen,
        state=planned.state,
        reason=planned.reason,
    )


def in_round(current: Subscription, planned: Plan) -> Subscription:
    """The subscription in the plan's round; a topic that was chosen is used up by it."""
    used_up = planned.chosen and planned.state in HAD
    return replace(current, round=planned.round, chosen_topic=None if used_up else current.chosen_topic)


async def free_instant(connection: AsyncConnection, subscription: Subscription, now: datetime) -> datetime:
    """`now`, or the next microsecond that is no slot of the subscription's: a slot can be had only once."""
    query = select(deliveries.c.slot).where((deliveries.c.subscription_id == subscription.id), deliveries.c.slot >= now)
    taken = set((await connection.execute(query)).scalars())
    taken.add(subscription.next_slot.instant)
    while now in taken:
        now += timedelta(microseconds=1)
    return now
