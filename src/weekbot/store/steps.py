"""The steps after a recorded post, such as its thread, pin and publication; each has its own row."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import deliveries, steps, subscriptions
from weekbot.db.upsert import insert_into
from weekbot.domain.steps import ORDER, Step, StepName
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import N_
from weekbot.store.claims import ShownTopic, record_shown_topic
from weekbot.store.queue import LeasedQueue
from weekbot.store.rows import delivery_of

STRAYS_AFTER = timedelta(minutes=5)  # duplicates may take a while to appear
UNKNOWN = N_("this version of weekbot doesn't know what should follow the post; the bot's operator can update it")
_IS_KNOWN = steps.c.name.in_(list(StepName))  # a later version may have stored other steps


class Steps(LeasedQueue[Step]):
    """The steps of a subscription are claimed one delivery at a time, in their order."""

    _table, _is_open = steps, ~steps.c.done & _IS_KNOWN
    _query = select(deliveries, steps.c.name, steps.c.attempts.label("tried")).join(steps).order_by(steps.c.retry_at)
    _finished = {"done": True, "reason": None}

    def _job(self, row: Row[Any], subscription: Subscription) -> Step:
        return Step(delivery_of(row, subscription), StepName(row.name), row.tried + 1)

    def _key(self, job: Step) -> dict[str, Any]:
        return {"delivery_id": job.delivery.id, "name": job.name}

    def _choose(self, jobs: list[Step]) -> list[Step]:
        """Choose the steps of one delivery for each subscription, in the order in which they are run."""
        groups: dict[int, list[Step]] = defaultdict(list)
        for step in jobs:
            group = groups[step.delivery.subscription.id]
            if not group or group[0].delivery.id == step.delivery.id:
                group.append(step)
        return [step for group in groups.values() for step in sorted(group, key=lambda step: ORDER.index(step.name))]

    async def record_message(self, step: Step, message_id: int, channel_id: int, shown: ShownTopic | None) -> None:
        values = {"message_id": message_id, "message_channel_id": channel_id, "version": None, "form": None}
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(deliveries.c.id == step.delivery.id).values(values))
            if shown:
                await record_shown_topic(connection, step.delivery.id, shown)

    async def record_pin(self, step: Step) -> None:
        """Remember the pinned post for the next one to unpin, unless a later post is already pinned."""
        message_id, pinned = step.delivery.message_id, func.coalesce(subscriptions.c.pinned_message_id, 0)
        this = (subscriptions.c.id == step.delivery.subscription.id) & (pinned < message_id)
        await self._execute(update(subscriptions).where(this).values(pinned_message_id=message_id))

    async def failures(self, delivery_ids: list[str]) -> dict[str, list[str]]:
        """By delivery id, the reasons why its steps failed."""
        failed = steps.c.reason.is_not(None) | (~steps.c.done & ~_IS_KNOWN)
        query = select(steps.c.delivery_id, steps.c.name, steps.c.reason).where(failed)
        found: dict[str, list[str]] = defaultdict(list)
        for row in await self._rows(query.where(steps.c.delivery_id.in_(delivery_ids))):
            found[row.delivery_id].append(row.reason or f"{UNKNOWN} ({row.name})")
        return dict(found)


def new_rows(delivery_id: str, names: Iterable[str], due: datetime) -> list[dict[str, Any]]:
    """The rows of new steps that are due at that instant; the search for duplicates is due a while later."""
    new = {"delivery_id": delivery_id, "done": False, "attempts": 0}
    return [new | {"name": name, "retry_at": due + STRAYS_AFTER * (name == StepName.STRAYS)} for name in names]


async def insert_rows(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(insert_into(connection, steps).on_conflict_do_nothing(), rows)


def excluding(subscription_ids: Collection[int]) -> ColumnElement[bool]:
    return deliveries.c.subscription_id.not_in(subscription_ids)


def for_delivery(delivery_id: str) -> ColumnElement[bool]:
    return steps.c.delivery_id == delivery_id
