"""What follows a recorded post: its thread, its pin, its publication; each recorded by itself."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, select, update

from weekbot.language import N_
from weekbot.store.database import Database
from weekbot.store.delivery import Delivery, delivery_of
from weekbot.store.leases import TAKEN, next_retry
from weekbot.store.shown_topics import ShownTopic, record_shown_topic
from weekbot.store.subscriptions import Options, with_subscriptions
from weekbot.store.tables import deliveries, steps, subscriptions


class StepName(StrEnum):
    THREAD = "thread"
    PIN = "pin"
    PUBLISH = "publish"
    STRAYS = "strays"  # a look for what earlier attempts posted after all


ORDER = (StepName.PUBLISH, StepName.THREAD, StepName.PIN, StepName.STRAYS)
STRAYS_AFTER = timedelta(minutes=5)
UNKNOWN = N_("this version of weekbot doesn't know what should follow the post; the bot's operator can update it")
_IS_KNOWN = steps.c.name.in_(list(StepName))
_OPEN = ~steps.c.done & _IS_KNOWN
"""The steps that are still to be done, and that this version knows."""


def wanted(options: Options) -> list[StepName]:
    """The steps that the options ask for, in their order."""
    switches = {StepName.THREAD: options.thread, StepName.PIN: options.pin, StepName.PUBLISH: options.publish}
    return [name for name in ORDER if switches.get(name)]


def rows_of(delivery_id: str, names: Iterable[str], due: datetime) -> list[dict[str, Any]]:
    """Steps that nobody has tried yet, to be tried from that instant on; strays may take a while to arrive."""
    new = {"delivery_id": delivery_id, "done": False, "attempts": 0}
    return [new | {"name": name, "retry_at": due + STRAYS_AFTER * (name == StepName.STRAYS)} for name in names]


@dataclass(frozen=True)
class Step:
    """`attempts` counts the one that it is held for."""

    delivery: Delivery
    name: StepName
    attempts: int


class Steps:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(
        self, now: datetime, lease: timedelta, limit: int, busy: Collection[int] = (), delivery: str | None = None
    ) -> list[list[Step]]:
        """Steps whose next attempt is due, the longest waiting first, each held until `now + lease`.

        They come by delivery, in their order, and those of one subscription one delivery after another: none for a
        subscription that is `busy` with some.
        """
        due = _OPEN & (steps.c.retry_at <= now) & deliveries.c.subscription_id.not_in(busy)
        query = (
            select(deliveries, steps.c.name, steps.c.attempts.label("tried"))
            .join(deliveries, deliveries.c.id == steps.c.delivery_id)
            .where(due if delivery is None else due & (deliveries.c.id == delivery))
            .order_by(steps.c.retry_at)
            .limit(limit)
            .with_for_update(of=steps, **TAKEN)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(query)).all()
            known = {each.id: each for each in await with_subscriptions(connection, rows, delivery_of)}
            taken = _in_turn([Step(known[row.id], StepName(row.name), row.tried + 1) for row in rows])
            for step in (step for group in taken for step in group):
                values = {"attempts": step.attempts, "retry_at": now + lease}
                await connection.execute(update(steps).where(_is(step)).values(**values))
        return taken

    async def next_retry(self) -> datetime | None:
        """When the earliest open step wants its next attempt."""
        async with self._database.read() as connection:
            return await next_retry(connection, steps, _OPEN)

    async def done(self, step: Step, reason: str | None = None) -> None:
        """Nothing is left to do: it was carried out, or cannot be, for the reason given."""
        await self._update(step, done=True, reason=reason)

    async def retry(self, step: Step, at: datetime, reason: str) -> None:
        await self._update(step, retry_at=at, reason=reason)

    async def stands_at(self, step: Step, message_id: int, channel_id: int, shown: ShownTopic | None) -> None:
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

    async def _update(self, step: Step, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(steps).where(_is_held(step)).values(**values))


def _is(step: Step) -> ColumnElement[bool]:
    return (steps.c.delivery_id == step.delivery.id) & (steps.c.name == step.name)


def _is_held(step: Step) -> ColumnElement[bool]:
    """Whether no other attempt has begun since this one did."""
    return _is(step) & (steps.c.attempts == step.attempts)


def _in_turn(due: list[Step]) -> list[list[Step]]:
    """Of each subscription the steps of one delivery, in the order in which they are wanted."""
    groups: dict[int, list[Step]] = {}
    for step in due:
        group = groups.setdefault(step.delivery.subscription.id, [])
        if not group or group[0].delivery.id == step.delivery.id:
            group.append(step)
    return [sorted(group, key=lambda step: ORDER.index(step.name)) for group in groups.values()]
