"""The ledger: one row for each (subscription, slot), from the claim to what became of it."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.schedule import next_slot
from weekbot.store import subscriptions as subs
from weekbot.store.database import Database
from weekbot.store.subscriptions import Subscription
from weekbot.store.tables import deliveries, steps, subscriptions


class State(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"  # claimed; not yet known to be posted
    SENT = "sent"
    SKIPPED = "skipped"  # a moderator left the topic out
    MISSED = "missed"  # could not be posted within the catch-up time
    BLOCKED = "blocked"  # Discord refused it
    UNVERIFIED = "unverified"  # may or may not have been posted; not sent again


HAD = (State.PENDING, State.SENT, State.SKIPPED, State.UNVERIFIED)
"""The states in which a topic counts as had in its round."""


@dataclass(frozen=True)
class Plan:
    """Which topic a slot gets, in which round; `chosen` by a moderator; the state it begins in, and why."""

    topic: str
    round: int
    chosen: bool = False
    state: State = State.PENDING
    reason: str | None = None


Planner = Callable[[Subscription, set[str]], Plan]
"""Makes the plan from the subscription and the topics it had in its current round."""


@dataclass(frozen=True)
class Delivery:
    """A row of the ledger with its subscription.

    `message_channel_id` is where the message stands: the subscribed channel, or the thread that a forum post opened.
    """

    id: str
    subscription: Subscription
    slot: datetime
    topic: str
    round: int
    scheduled: bool
    chosen: bool
    state: State
    attempts: int = 0
    first_attempt_at: datetime | None = None
    retry_at: datetime | None = None
    message_id: int | None = None
    message_channel_id: int | None = None
    reason: str | None = None


class Deliveries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, due: Subscription, plan: Planner, now: datetime) -> Delivery | None:
        """Insert the due slot's delivery and move the subscription to its next slot, in one transaction.

        None where another claim or an edit came first.
        """
        async with self._database.write() as connection:
            current = await subs.by_id(connection, due.id)
            if current is None or current.next_slot != due.next_slot or current.paused or not current.active:
                return None
            slot = current.next_slot
            moved = replace(current, last_slot=slot, next_slot=next_slot(current.weekly, slot.instant, slot))
            return await self._insert(connection, moved, slot.instant, plan, now, scheduled=True)

    async def claim_now(self, subscription: Subscription, plan: Planner, now: datetime) -> Delivery | None:
        """A delivery outside the schedule, at once; None where one is still on its way."""
        async with self._database.write() as connection:
            current = await subs.by_id(connection, subscription.id)
            pending = _of(subscription.id) & (deliveries.c.state == State.PENDING)
            if current is None or await connection.scalar(select(deliveries.c.id).where(pending)):
                return None
            instant = await _free_instant(connection, current, now)
            return await self._insert(connection, current, instant, plan, now, scheduled=False)

    async def _insert(
        self,
        connection: AsyncConnection,
        subscription: Subscription,
        slot: datetime,
        plan: Planner,
        now: datetime,
        *,
        scheduled: bool,
    ) -> Delivery | None:
        planned, moved = await _plan(connection, subscription, plan)
        delivery = Delivery(
            id=secrets.token_hex(12),
            subscription=moved,
            slot=slot,
            scheduled=scheduled,
            retry_at=now if planned.state is State.PENDING else None,
            topic=planned.topic,
            round=planned.round,
            chosen=planned.chosen,
            state=planned.state,
            reason=planned.reason,
        )
        statement = insert(deliveries).values(_row(delivery)).on_conflict_do_nothing()
        inserted = (await connection.execute(statement)).rowcount
        return delivery if inserted else None

    async def had(self, subscription: Subscription) -> set[str]:
        """The topics that count as had in the subscription's current round."""
        async with self._database.read() as connection:
            return await _had(connection, subscription)

    async def open(self, now: datetime, limit: int) -> list[Delivery]:
        """Pending deliveries whose next attempt is due, the longest waiting first."""
        query = (
            select(deliveries)
            .where(deliveries.c.state == State.PENDING, deliveries.c.retry_at <= now)
            .order_by(deliveries.c.retry_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return await with_subscriptions(connection, (await connection.execute(query)).all())

    async def next_retry(self) -> datetime | None:
        """When the earliest pending delivery wants its next attempt."""
        query = select(func.min(deliveries.c.retry_at)).where(deliveries.c.state == State.PENDING)
        async with self._database.read() as connection:
            earliest: datetime | None = await connection.scalar(query)
            return earliest

    async def get(self, delivery_id: str) -> Delivery | None:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(deliveries).where(deliveries.c.id == delivery_id))).all()
            return next(iter(await with_subscriptions(connection, rows)), None)

    async def last(self, subscription_ids: Iterable[int], *states: State) -> dict[int, Delivery]:
        """By subscription, its latest delivery in one of the states."""
        latest = (
            select(deliveries.c.subscription_id, func.max(deliveries.c.slot).label("slot"))
            .where(deliveries.c.subscription_id.in_(list(subscription_ids)), deliveries.c.state.in_(states))
            .group_by(deliveries.c.subscription_id)
            .subquery()
        )
        same = (deliveries.c.subscription_id == latest.c.subscription_id) & (deliveries.c.slot == latest.c.slot)
        async with self._database.read() as connection:
            rows = (await connection.execute(select(deliveries).join(latest, same))).all()
            found = await with_subscriptions(connection, rows)
        return {delivery.subscription.id: delivery for delivery in found}

    async def begin_attempt(self, delivery: Delivery, now: datetime, lease: timedelta) -> Delivery | None:
        """Record, before anything is sent, that an attempt is about to be made; None where another one is.

        The attempt holds the delivery until `now + lease`: if its end is never recorded, the next one comes then.
        """
        first = delivery.first_attempt_at or now
        values = {"attempts": delivery.attempts + 1, "first_attempt_at": first, "retry_at": now + lease}
        unchanged = _is_pending(delivery) & (deliveries.c.attempts == delivery.attempts)
        async with self._database.write() as connection:
            begun = (await connection.execute(update(deliveries).where(unchanged).values(**values))).rowcount
        return replace(delivery, attempts=delivery.attempts + 1, first_attempt_at=first) if begun else None

    async def replan(self, delivery: Delivery, plan: Planner) -> Delivery:
        """Give a delivery that was not yet attempted another topic, as its own has left the content."""
        async with self._database.write() as connection:
            current = await subs.by_id(connection, delivery.subscription.id)
            planned, moved = await _plan(connection, current or delivery.subscription, plan)
            values = {"topic": planned.topic, "round": planned.round, "chosen": planned.chosen}
            await connection.execute(update(deliveries).where(_is(delivery)).values(**values))
        return replace(delivery, subscription=moved, topic=planned.topic, round=planned.round, chosen=planned.chosen)

    async def retry(self, delivery: Delivery, at: datetime, reason: str, *, outcome_known: bool) -> None:
        """Try again at that instant; `outcome_known` where it is certain that nothing was posted."""
        first = None if outcome_known else delivery.first_attempt_at
        values = {"retry_at": at, "reason": reason, "first_attempt_at": first, "attempts": delivery.attempts}
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(_is_pending(delivery)).values(**values))

    async def sent(self, delivery: Delivery, message_id: int, channel_id: int, wanted: Iterable[str]) -> None:
        """Record the message, and the steps that are wanted after it."""
        message = {"message_id": message_id, "message_channel_id": channel_id}
        values = {"state": State.SENT, "reason": None, "retry_at": None, **message}
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(_is(delivery)).values(**values))
            await connection.execute(
                update(subscriptions).where(subscriptions.c.id == delivery.subscription.id).values(blocked=None)
            )
            for name in wanted:
                row = {"delivery_id": delivery.id, "name": name, "done": False, "attempts": 0}
                await connection.execute(insert(steps).values(**row, retry_at=delivery.slot).on_conflict_do_nothing())

    async def unverified(self, delivery: Delivery, reason: str) -> None:
        async with self._database.write() as connection:
            await _finish(connection, delivery, State.UNVERIFIED, reason)

    async def missed(self, delivery: Delivery, reason: str) -> None:
        """Give up; a topic that a moderator chose is chosen again."""
        async with self._database.write() as connection:
            await _finish(connection, delivery, State.MISSED, reason)
            await _choose_again(connection, delivery)

    async def blocked(self, delivery: Delivery, reason: str) -> None:
        """Discord refused it: the subscription keeps all its settings and its next slot, which tries again."""
        async with self._database.write() as connection:
            await _finish(connection, delivery, State.BLOCKED, reason)
            await _choose_again(connection, delivery)
            await connection.execute(
                update(subscriptions).where(subscriptions.c.id == delivery.subscription.id).values(blocked=reason)
            )


def _of(subscription_id: int) -> ColumnElement[bool]:
    return deliveries.c.subscription_id == subscription_id


def _is(delivery: Delivery) -> ColumnElement[bool]:
    return deliveries.c.id == delivery.id


def _is_pending(delivery: Delivery) -> ColumnElement[bool]:
    return _is(delivery) & (deliveries.c.state == State.PENDING)


async def _had(connection: AsyncConnection, subscription: Subscription) -> set[str]:
    query = select(deliveries.c.topic).where(
        _of(subscription.id), deliveries.c.round == subscription.round, deliveries.c.state.in_(HAD)
    )
    return set((await connection.execute(query)).scalars())


async def _plan(connection: AsyncConnection, subscription: Subscription, plan: Planner) -> tuple[Plan, Subscription]:
    """Make the plan, and move the subscription to its round; a topic that was chosen is used up by it."""
    planned = plan(subscription, await _had(connection, subscription))
    used_up = planned.chosen and planned.state in HAD
    chosen_topic = None if used_up else subscription.chosen_topic
    return planned, await subs.save(connection, replace(subscription, round=planned.round, chosen_topic=chosen_topic))


async def _free_instant(connection: AsyncConnection, subscription: Subscription, now: datetime) -> datetime:
    """`now`, or the next microsecond that is no slot of the subscription's: a slot can be had only once."""
    query = select(deliveries.c.slot).where(_of(subscription.id), deliveries.c.slot >= now)
    taken = set((await connection.execute(query)).scalars())
    taken.add(subscription.next_slot.instant)
    while now in taken:
        now += timedelta(microseconds=1)
    return now


async def _finish(connection: AsyncConnection, delivery: Delivery, state: State, reason: str) -> None:
    """Give up a delivery, unless it is known by now that it was posted."""
    values = {"state": state, "reason": reason, "retry_at": None}
    await connection.execute(update(deliveries).where(_is_pending(delivery)).values(**values))


async def _choose_again(connection: AsyncConnection, delivery: Delivery) -> None:
    """Let a topic that was not posted come next where nothing else would bring it back in its round."""
    undecided = (subscriptions.c.id == delivery.subscription.id) & subscriptions.c.chosen_topic.is_(None)
    if not delivery.chosen:
        undecided &= subscriptions.c.round > delivery.round
    await connection.execute(update(subscriptions).where(undecided).values(chosen_topic=delivery.topic))


async def with_subscriptions(connection: AsyncConnection, rows: Iterable[Row[Any]]) -> list[Delivery]:
    rows = list(rows)
    known = await subs.by_ids(connection, {row.subscription_id for row in rows})
    return [_delivery(row, known[row.subscription_id]) for row in rows]


def _delivery(row: Row[Any], subscription: Subscription) -> Delivery:
    columns = dict(row._mapping)  # noqa: SLF001 - documented, despite its name
    own = {name: columns[name] for name in Delivery.__dataclass_fields__ if name in columns}
    return Delivery(**own | {"subscription": subscription, "state": State(row.state)})


def _row(delivery: Delivery) -> dict[str, Any]:
    columns = {name: getattr(delivery, name) for name in Delivery.__dataclass_fields__ if name != "subscription"}
    return {**columns, "subscription_id": delivery.subscription.id}
