"""The ledger: one row for each (subscription, slot), from the claim to what became of it."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.schedule import next_slot
from weekbot.store import subscriptions as subs
from weekbot.store.database import Database
from weekbot.store.group_commit import GroupCommit
from weekbot.store.notices import Kind, tell
from weekbot.store.subscriptions import Subscription
from weekbot.store.tables import UtcDateTime, deliveries, steps, subscriptions


class State(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"  # claimed; not yet known to be posted
    SENT = "sent"
    SKIPPED = "skipped"  # a moderator left the topic out
    MISSED = "missed"  # could not be posted within the catch-up time
    BLOCKED = "blocked"  # Discord refused it
    UNVERIFIED = "unverified"  # may or may not have been posted; not sent again


LONG_AGO = timedelta(days=1)  # long enough for Discord to have forgotten a nonce

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
    sent_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Sent:
    delivery: Delivery
    message_id: int
    message_channel_id: int
    wanted: tuple[str, ...]
    sent_at: datetime


class Deliveries:
    """`linger` is how long what was sent may wait to be recorded together with what is sent next."""

    def __init__(self, database: Database, linger: timedelta = timedelta()) -> None:
        self._database = database
        self._recording = GroupCommit(database, _record, linger)

    async def claim(self, due: Sequence[Subscription], plan: Planner, now: datetime) -> list[Delivery]:
        """Insert the due slots' deliveries and move the subscriptions to their next slots, in one transaction.

        Those that another claim or an edit came first for are left out.
        """
        async with self._database.write() as connection:
            known = await subs.by_ids(connection, {each.id for each in due})
            current = [known[each.id] for each in due if each.id in known and _is_still_due(each, known[each.id])]
            return await _insert(connection, current, plan, now)

    async def claim_now(
        self, subscription: Subscription, plan: Planner, now: datetime, lease: timedelta
    ) -> Delivery | None:
        """A delivery outside the schedule, held for an attempt at once; None where one is still on its way."""
        async with self._database.write() as connection:
            current = await subs.by_id(connection, subscription.id)
            on_its_way = _of(subscription.id) & (deliveries.c.state == State.PENDING)
            if current is None or await connection.scalar(select(deliveries.c.id).where(on_its_way)):
                return None
            slot = await _free_instant(connection, current, now)
            inserted = await _insert(connection, [current], plan, now, unscheduled_slot=slot)
            pending = [delivery for delivery in inserted if delivery.state is State.PENDING]
            return next(iter(await _take(connection, pending, now, lease) or inserted), None)

    async def had(self, subscription: Subscription) -> set[str]:
        """The topics that count as had in the subscription's current round."""
        async with self._database.read() as connection:
            return (await _had(connection, [subscription]))[subscription.id]

    async def take(self, now: datetime, lease: timedelta, limit: int) -> list[Delivery]:
        """Pending deliveries whose next attempt is due, the longest waiting first, each held until `now + lease`.

        The attempt is recorded before it is made, with the instant of the first; if its end is never recorded, the
        next one comes after the lease. What comes back says of `first_attempt_at` what was known before.
        """
        query = (
            select(deliveries)
            .where(deliveries.c.state == State.PENDING, deliveries.c.retry_at <= now)
            .order_by(deliveries.c.retry_at)
            .limit(limit)
        )
        async with self._database.write() as connection:
            found = await with_subscriptions(connection, (await connection.execute(query)).all())
            return await _take(connection, found, now, lease)

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

    async def put_back(self, now: datetime) -> None:
        """The clock was put back: attempts that seem to be still to come were made nobody knows how long ago."""
        of_the_future = (deliveries.c.state == State.PENDING) & (deliveries.c.first_attempt_at > now)
        values = {"first_attempt_at": now - LONG_AGO, "retry_at": now}
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(of_the_future).values(**values))

    async def begin_again(self, delivery: Delivery, now: datetime, lease: timedelta) -> bool:
        """Record, before it is sent again, that it was not posted until now; False where another attempt holds it."""
        held = _is_pending(delivery) & (deliveries.c.attempts == delivery.attempts)
        async with self._database.write() as connection:
            statement = update(deliveries).where(held).values(first_attempt_at=now, retry_at=now + lease)
            return bool((await connection.execute(statement)).rowcount)

    async def replan(self, delivery: Delivery, plan: Planner) -> Delivery:
        """Give a delivery that was not yet attempted another topic, as its own has left the content."""
        async with self._database.write() as connection:
            current = await subs.by_id(connection, delivery.subscription.id) or delivery.subscription
            planned = plan(current, (await _had(connection, [current]))[current.id])
            moved = await subs.save(connection, _in_round(current, planned))
            values = {"topic": planned.topic, "round": planned.round, "chosen": planned.chosen}
            await connection.execute(update(deliveries).where(_is(delivery)).values(**values))
        return replace(delivery, subscription=moved, topic=planned.topic, round=planned.round, chosen=planned.chosen)

    async def retry(self, delivery: Delivery, at: datetime, reason: str, *, outcome_known: bool) -> None:
        """Try again at that instant; `outcome_known` where it is certain that nothing was posted."""
        not_posted = {"first_attempt_at": None} if outcome_known else {}
        values = {"retry_at": at, "reason": reason, **not_posted}
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(_is_pending(delivery)).values(**values))

    async def sent(
        self, delivery: Delivery, message_id: int, channel_id: int, wanted: Iterable[str], now: datetime
    ) -> None:
        """Record the message, and the steps that are wanted after it."""
        await self._recording.put(_Sent(delivery, message_id, channel_id, tuple(wanted), now))

    async def unverified(self, delivery: Delivery, reason: str) -> None:
        async with self._database.write() as connection:
            await _finish(connection, delivery, State.UNVERIFIED, reason)

    async def missed(self, delivery: Delivery, reason: str) -> None:
        """Give up; a topic that a moderator chose is chosen again."""
        async with self._database.write() as connection:
            await _finish(connection, delivery, State.MISSED, reason)
            await _choose_again(connection, delivery)

    async def blocked(
        self, delivery: Delivery, reason: str, now: datetime, *, state: State = State.BLOCKED, told: bool = True
    ) -> None:
        """Discord refused it: the subscription keeps all its settings and its next slot, which tries again.

        It is told once, unless `told` is False, until a post succeeds. `state` is UNVERIFIED where an earlier attempt
        may have succeeded.
        """
        this = update(subscriptions).where(subscriptions.c.id == delivery.subscription.id)
        async with self._database.write() as connection:
            await _finish(connection, delivery, state, reason)
            if state is State.BLOCKED:
                await _choose_again(connection, delivery)
            await connection.execute(this.values(blocked=reason))
            if told:
                await tell(connection, delivery.subscription.id, Kind.BLOCKED, reason, now)


def _of(subscription_id: int) -> ColumnElement[bool]:
    return deliveries.c.subscription_id == subscription_id


def _is(delivery: Delivery) -> ColumnElement[bool]:
    return deliveries.c.id == delivery.id


def _is_pending(delivery: Delivery) -> ColumnElement[bool]:
    return _is(delivery) & (deliveries.c.state == State.PENDING)


def _is_still_due(seen: Subscription, current: Subscription) -> bool:
    return current.next_slot == seen.next_slot and current.active and not current.paused


async def _had(connection: AsyncConnection, current: Iterable[Subscription]) -> dict[int, set[str]]:
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


async def _insert(
    connection: AsyncConnection,
    current: Sequence[Subscription],
    plan: Planner,
    now: datetime,
    *,
    unscheduled_slot: datetime | None = None,
) -> list[Delivery]:
    """Plan a delivery of each subscription for its next slot, or for one outside its schedule; those inserted."""
    had = await _had(connection, current)
    made = [_plan(each, plan(each, had[each.id]), now, unscheduled_slot) for each in current]
    await subs.save_all(connection, [delivery.subscription for delivery in made])
    if not made:
        return []
    await connection.execute(insert(deliveries).on_conflict_do_nothing(), [_row(delivery) for delivery in made])
    query = select(deliveries.c.id).where(deliveries.c.id.in_([delivery.id for delivery in made]))
    inserted = set((await connection.execute(query)).scalars())
    return [delivery for delivery in made if delivery.id in inserted]


def _plan(current: Subscription, planned: Plan, now: datetime, unscheduled_slot: datetime | None) -> Delivery:
    """The planned delivery, with its subscription moved on."""
    moved, slot = _in_round(current, planned), current.next_slot
    if unscheduled_slot is None:
        moved = replace(moved, last_slot=slot, next_slot=next_slot(current.weekly, slot.instant, slot))
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


def _in_round(current: Subscription, planned: Plan) -> Subscription:
    """The subscription in the plan's round; a topic that was chosen is used up by it."""
    used_up = planned.chosen and planned.state in HAD
    return replace(current, round=planned.round, chosen_topic=None if used_up else current.chosen_topic)


async def _take(
    connection: AsyncConnection, found: Sequence[Delivery], now: datetime, lease: timedelta
) -> list[Delivery]:
    first = func.coalesce(deliveries.c.first_attempt_at, bindparam("_now", now, UtcDateTime))
    values = {"attempts": deliveries.c.attempts + 1, "first_attempt_at": first, "retry_at": now + lease}
    these = deliveries.c.id.in_([delivery.id for delivery in found])
    if found:
        await connection.execute(update(deliveries).where(these).values(**values))
    return [replace(delivery, attempts=delivery.attempts + 1, retry_at=now + lease) for delivery in found]


_RECORD = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("_id"))
    .values(
        state=State.SENT,
        reason=None,
        retry_at=None,
        message_id=bindparam("_message_id"),
        message_channel_id=bindparam("_message_channel_id"),
        sent_at=bindparam("_sent_at"),
    )
)
_WANT = insert(steps).on_conflict_do_nothing()


async def _record(connection: AsyncConnection, group: list[_Sent]) -> None:
    columns = ("message_id", "message_channel_id", "sent_at")
    rows = [{"_id": sent.delivery.id, **{f"_{name}": getattr(sent, name) for name in columns}} for sent in group]
    await connection.execute(_RECORD, rows)
    wanted = [_step(sent, name) for sent in group for name in sent.wanted]
    if wanted:
        await connection.execute(_WANT, wanted)
    for sent in group:
        if sent.delivery.subscription.blocked:
            await _unblock(connection, sent.delivery.subscription)


def _step(sent: _Sent, name: str) -> dict[str, Any]:
    return {"delivery_id": sent.delivery.id, "name": name, "done": False, "attempts": 0, "retry_at": sent.sent_at}


async def _unblock(connection: AsyncConnection, subscription: Subscription) -> None:
    healed = {"blocked": None, "warning": None}  # should something else be wrong, the next check tells it
    await connection.execute(update(subscriptions).where(subscriptions.c.id == subscription.id).values(healed))
    await subs.forget_notices(connection, subscription)


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
