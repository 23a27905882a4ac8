"""What follows a recorded post: its thread, its pin, its publication; each recorded by itself."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, update

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, steps, subscriptions
from weekbot.domain.steps import ORDER, Step, StepName
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import N_
from weekbot.store.queue import LeasedQueue
from weekbot.store.rows import delivery_of
from weekbot.store.shown_topics import ShownTopic, record_shown_topic

STRAYS_AFTER = timedelta(minutes=5)
UNKNOWN = N_("what should follow the post is unknown to this version of weekbot, whose operator can update it")
_IS_KNOWN = steps.c.name.in_(list(StepName))
_OPEN = ~steps.c.done & _IS_KNOWN
"""The steps that are still to be done, and that this version knows."""


def rows_of(delivery_id: str, names: Iterable[str], due: datetime) -> list[dict[str, Any]]:
    """Steps that nobody has tried yet, to be tried from that instant on; strays may take a while to arrive."""
    new = {"delivery_id": delivery_id, "done": False, "attempts": 0}
    return [new | {"name": name, "retry_at": due + STRAYS_AFTER * (name == StepName.STRAYS)} for name in names]


class Steps(LeasedQueue[Step]):
    """The steps of one subscription are claimed one delivery after another, in their order."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            database,
            steps,
            _OPEN,
            _step,
            finished={"done": True},
            query=select(deliveries, steps.c.name, steps.c.attempts.label("tried")).join(steps),
            key=lambda step: {"delivery_id": step.delivery.id, "name": step.name},
        )

    def _choose(self, jobs: list[Step]) -> list[Step]:
        """Choose the steps of one delivery for each subscription, in the order in which they are wanted."""
        groups: dict[int, list[Step]] = {}
        for step in jobs:
            group = groups.setdefault(step.delivery.subscription.id, [])
            if not group or group[0].delivery.id == step.delivery.id:
                group.append(step)
        return [step for group in groups.values() for step in sorted(group, key=lambda step: ORDER.index(step.name))]

    async def record_message(self, step: Step, message_id: int, channel_id: int, shown: ShownTopic | None) -> None:
        """Replace the recorded message with the one that remains; `shown` if that shows another topic."""
        values = {"message_id": message_id, "message_channel_id": channel_id, "version": None, "form": None}
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(deliveries.c.id == step.delivery.id).values(values))
            if shown:
                await record_shown_topic(connection, step.delivery.id, shown)

    async def pinned(self, step: Step) -> None:
        """The post is pinned: it is what the next one takes the pin from, unless a later one is pinned already."""
        pinned = func.coalesce(subscriptions.c.pinned_message_id, 0)
        this = (subscriptions.c.id == step.delivery.subscription.id) & (pinned < step.delivery.message_id)
        statement = update(subscriptions).where(this)
        async with self._database.write() as connection:
            await connection.execute(statement.values(pinned_message_id=step.delivery.message_id))

    async def failures(self, delivery_ids: list[str]) -> dict[str, list[str]]:
        """By delivery, what kept its steps from being carried out."""
        told = steps.c.reason.is_not(None) | (~steps.c.done & ~_IS_KNOWN)
        query = select(steps.c.delivery_id, steps.c.name, steps.c.reason).where(
            steps.c.delivery_id.in_(delivery_ids), told
        )
        found: dict[str, list[str]] = {}
        async with self._database.read() as connection:
            for row in await connection.execute(query):
                found.setdefault(row.delivery_id, []).append(row.reason or f"{UNKNOWN} ({row.name})")
        return found


def of_others(busy: Collection[int]) -> ColumnElement[bool]:
    """The condition that a step belongs to none of these subscriptions."""
    return deliveries.c.subscription_id.not_in(busy)


def of_delivery(delivery_id: str) -> ColumnElement[bool]:
    return steps.c.delivery_id == delivery_id


def _step(row: Row[Any], subscription: Subscription) -> Step:
    return Step(delivery_of(row, subscription), StepName(row.name), row.tried + 1)
