"""What follows a recorded post: its thread, its pin, its publication; each recorded by itself."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, update

from weekbot.store.database import Database
from weekbot.store.deliveries import Delivery, with_subscriptions
from weekbot.store.subscriptions import Options
from weekbot.store.tables import deliveries, steps, subscriptions


class StepName(StrEnum):
    THREAD = "thread"
    PIN = "pin"
    PUBLISH = "publish"


def wanted(options: Options) -> list[StepName]:
    """The steps that the options ask for, in their order."""
    switches = {StepName.PUBLISH: options.publish, StepName.THREAD: options.thread, StepName.PIN: options.pin}
    return [name for name, on in switches.items() if on]


@dataclass(frozen=True)
class Step:
    delivery: Delivery
    name: StepName
    attempts: int


class Steps:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, now: datetime, limit: int) -> list[Step]:
        """Steps whose next attempt is due, the longest waiting first."""
        query = (
            select(deliveries, steps.c.name, steps.c.attempts.label("tried"))
            .join(deliveries, deliveries.c.id == steps.c.delivery_id)
            .where(~steps.c.done, steps.c.retry_at <= now)
            .order_by(steps.c.retry_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            found = {delivery.id: delivery for delivery in await with_subscriptions(connection, rows)}
        return [Step(found[row.id], StepName(row.name), row.tried) for row in rows]

    async def next_retry(self) -> datetime | None:
        """When the earliest open step wants its next attempt."""
        async with self._database.read() as connection:
            earliest: datetime | None = await connection.scalar(select(func.min(steps.c.retry_at)).where(~steps.c.done))
            return earliest

    async def done(self, step: Step, reason: str | None = None) -> None:
        """Nothing is left to do: it was carried out, or cannot be, for the reason given."""
        await self._update(step, done=True, attempts=step.attempts + 1, reason=reason)

    async def retry(self, step: Step, at: datetime, reason: str) -> None:
        await self._update(step, retry_at=at, attempts=step.attempts + 1, reason=reason)

    async def pinned(self, step: Step) -> None:
        """The post is pinned: it is what the next one takes the pin from."""
        statement = update(subscriptions).where(subscriptions.c.id == step.delivery.subscription.id)
        async with self._database.write() as connection:
            await connection.execute(statement.values(pinned_message_id=step.delivery.message_id))

    async def failures(self, delivery_ids: list[str]) -> dict[str, list[str]]:
        """By delivery, what kept its steps from being carried out."""
        query = select(steps.c.delivery_id, steps.c.reason).where(
            steps.c.delivery_id.in_(delivery_ids), steps.c.reason.is_not(None)
        )
        found: dict[str, list[str]] = {}
        async with self._database.read() as connection:
            for row in await connection.execute(query):
                found.setdefault(row.delivery_id, []).append(row.reason)
        return found

    async def _update(self, step: Step, **values: Any) -> None:
        this = (steps.c.delivery_id == step.delivery.id) & (steps.c.name == step.name)
        async with self._database.write() as connection:
            await connection.execute(update(steps).where(this).values(**values))
