"""Deliveries whose message shows another topic than planned, because a process with another ledger posted it."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import deliveries
from weekbot.domain.deliveries import Planner
from weekbot.domain.planning import apply_plan
from weekbot.domain.subscriptions import Subscription
from weekbot.store import subscriptions as subs
from weekbot.store.claims import plan_for


@dataclass(frozen=True)
class ShownTopic:
    """The topic that a delivery's message shows, and the planner that counts it as used."""

    slug: str
    plan: Planner


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
