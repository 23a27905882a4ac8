"""The ledger: one row for each (subscription, slot), from the claim to what became of it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.group_commit import GroupCommit
from weekbot.db.tables import deliveries, notices, reconciliations, steps, subscriptions
from weekbot.db.upsert import insert_into
from weekbot.db.wake_up import wake_leader
from weekbot.domain.deliveries import USED_STATES, Delivery, Outcome, Planner, PostForm, State, UsedTopics, manual_id
from weekbot.domain.notices import NoticeKind
from weekbot.domain.planning import apply_plan, is_still_due
from weekbot.domain.subscriptions import Subscription
from weekbot.store import subscriptions as subs
from weekbot.store.attempts import end, leave
from weekbot.store.claims import free_instant, insert_planned, used_topics_of
from weekbot.store.locks import CLAIMING, LOCKED
from weekbot.store.notices import enqueue
from weekbot.store.queue import LeasedQueue, first_attempt
from weekbot.store.reconciliations import check_reconciled
from weekbot.store.rescheduling import reschedule
from weekbot.store.rows import delivery_of
from weekbot.store.shown_topics import ShownTopic, record_shown_topic
from weekbot.store.steps import rows_of

REPEATED_WITHIN = timedelta(minutes=1)
_DONE_AT = func.coalesce(deliveries.c.sent_at, deliveries.c.first_attempt_at, deliveries.c.slot)
"""When a delivery was made, which may be long after its slot."""
LONG_AGO = timedelta(days=1)  # long enough for Discord to have forgotten a nonce
LONGEST_WAIT = timedelta(days=1)  # until the next attempt at anything, unless a clock was wrong


@dataclass(frozen=True)
class ManualAction:
    """A moderator's action: skip or post the next topic, or only `topic` if that is the next one."""

    skips: bool
    topic: str | None = None
    interaction_id: int | None = None


class RepeatedError(Exception):
    """This manual delivery did the same within the last minute."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery.id)
        self.delivery = delivery


@dataclass(frozen=True)
class _Sent:
    delivery: Delivery
    message_id: int
    message_channel_id: int
    wanted: tuple[str, ...]
    sent_at: datetime
    version: str | None
    form: PostForm | None
    found: bool
    shown: ShownTopic | None


class Deliveries(LeasedQueue[Delivery]):
    """The queue of pending deliveries. Sent ones may wait up to `linger` to be recorded together."""

    def __init__(self, database: Database, linger: timedelta = timedelta()) -> None:
        pending = deliveries.c.state == State.PENDING
        super().__init__(database, deliveries, pending, delivery_of, begun=_begun)
        self._recording = GroupCommit(database, _record, linger)

    async def claim_due(
        self, due: Sequence[Subscription], plan: Planner, now: datetime, lease: timedelta | None = None
    ) -> list[Delivery]:
        """Insert the due slots' deliveries and move the subscriptions to their next slots, in one transaction.

        With a lease those to be posted are held for their first attempt until `now + lease`. Those that another claim
        or an edit came first for are left out.
        """
        async with self._database.write() as connection:
            known = await subs.by_ids(connection, {each.id for each in due}, **CLAIMING)
            current = [known[each.id] for each in due if each.id in known and is_still_due(each, known[each.id])]
            return await insert_planned(connection, current, plan, now, lease)

    async def claim_now(
        self,
        subscription: Subscription,
        plan: Planner,
        now: datetime,
        lease: timedelta | None,
        action: ManualAction | None = None,
    ) -> Delivery | None:
        """Claim a delivery outside the schedule; None if another is in flight, or the interaction already has one.

        It is held for an attempt at once, or else, without a lease, left to the process that sends, which is told.
        Raises LookingBackError, and RepeatedError if a moderator's `action` is a repetition.
        """
        async with self._database.write() as connection:
            current = await subs.by_id(connection, subscription.id, **LOCKED)
            if current and action and (made := await _repeated(connection, current, action, now)):
                raise RepeatedError(made)
            await check_reconciled(connection, subscription)
            id_ = manual_id(action.interaction_id if action else None)
            on_its_way = (deliveries.c.subscription_id == subscription.id) & (deliveries.c.state == State.PENDING)
            on_its_way |= deliveries.c.id == id_
            if current is None or await connection.scalar(select(deliveries.c.id).where(on_its_way)):
                return None
            slot = await free_instant(connection, current, now)
            inserted = await insert_planned(connection, [current], plan, now, lease, unscheduled=(id_, slot))
            if lease is None:
                await wake_leader(connection)
            return next(iter(inserted), None)

    async def is_fresh(self, channel_id: int, now: datetime) -> bool:
        """Whether the channel's current round has had no topic yet, except within the last minute."""
        this_round = (deliveries.c.subscription_id == subscriptions.c.id) & (
            deliveries.c.round == subscriptions.c.round
        )
        used = deliveries.c.state.in_(USED_STATES) & (now - REPEATED_WITHIN > _DONE_AT)
        query = select(deliveries.c.id).join(subscriptions, this_round).where(used)
        async with self._database.read() as connection:
            return await connection.scalar(query.where(subscriptions.c.channel_id == channel_id).limit(1)) is None

    async def chosen_lately(self, channel_id: int, topic: str, now: datetime) -> Delivery | None:
        """The channel's post of this topic within the last minute, if a moderator had chosen the topic."""
        chosen = (
            _lately(now) & deliveries.c.state.in_(USED_STATES) & deliveries.c.chosen & (deliveries.c.topic == topic)
        )
        this = select(deliveries).join(subscriptions).where(subscriptions.c.channel_id == channel_id, chosen)
        async with self._database.read() as connection:
            rows = (await connection.execute(this.order_by(deliveries.c.slot.desc()).limit(1))).all()
            return next(iter(await subs.with_subscriptions(connection, rows, delivery_of)), None)

    async def had(self, subscription: Subscription) -> UsedTopics:
        """The topics that count as had in the subscription's current round."""
        async with self._database.read() as connection:
            return (await used_topics_of(connection, [subscription]))[subscription.id]

    async def claim(
        self, now: datetime, lease: timedelta, limit: int, which: ColumnElement[bool] | None = None
    ) -> list[Delivery]:
        """The pending deliveries that are due; `first_attempt_at` is what was known before this attempt."""
        found = await super().claim(now, lease, limit, which)
        return [replace(each, attempts=each.attempts + 1, retry_at=now + lease, attempt_at=now) for each in found]

    async def _lease(
        self, connection: AsyncConnection, jobs: Sequence[Delivery], now: datetime, lease: timedelta
    ) -> None:
        await leave(connection, jobs)
        await super()._lease(connection, jobs, now, lease)

    async def hasten(self, now: datetime) -> None:
        """Make waiting retries due now; deliveries that are being attempted keep their lease."""
        pending = (deliveries.c.state == State.PENDING) & (deliveries.c.retry_at > now)
        waiting = pending & deliveries.c.attempt_at.is_(None)
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(waiting).values(retry_at=now))

    async def refused(self, guild_ids: Iterable[int], since: datetime) -> list[Delivery]:
        """The servers' scheduled deliveries since that instant that Discord refused."""
        recent = (deliveries.c.state == State.BLOCKED) & deliveries.c.scheduled & (deliveries.c.slot >= since)
        query = select(deliveries).join(subscriptions).where(recent, subscriptions.c.guild_id.in_(list(guild_ids)))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            return await subs.with_subscriptions(connection, rows, delivery_of)

    async def reopen(self, delivery: Delivery, now: datetime) -> bool:
        """Let a refused delivery be tried again now; False if another one, or a moderator's choice, came after it."""
        async with self._database.write() as connection:
            current = await subs.by_id(connection, delivery.subscription.id, **LOCKED)
            if current is None or not await _is_last(connection, delivery, current):
                return False
            this = (deliveries.c.id == delivery.id) & (deliveries.c.state == State.BLOCKED)
            again = {"state": State.PENDING, "first_attempt_at": None, "retry_at": now}
            if not (await connection.execute(update(deliveries).where(this).values(**again))).rowcount:
                return False
            await subs.save(connection, replace(current, chosen_topic=None))
            await wake_leader(connection)
            return True

    async def get(self, delivery_id: str) -> Delivery | None:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(deliveries).where(deliveries.c.id == delivery_id))).all()
            return next(iter(await subs.with_subscriptions(connection, rows, delivery_of)), None)

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
            found = await subs.with_subscriptions(connection, rows, delivery_of)
        return {delivery.subscription.id: delivery for delivery in found}

    async def topics_of(self, channel_id: int) -> set[str]:
        """The names of the topics that were posted in the channel."""
        query = select(deliveries.c.topic).join(subscriptions).where(_posted_in(channel_id)).distinct()
        async with self._database.read() as connection:
            return set(await connection.scalars(query))

    async def last_of_topic(self, channel_id: int, names: Collection[str]) -> Delivery | None:
        """The channel's latest post of a topic, which may have had several names."""
        query = select(deliveries).join(subscriptions).where(_posted_in(channel_id), deliveries.c.topic.in_(names))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(deliveries.c.slot.desc()).limit(1))).all()
            return next(iter(await subs.with_subscriptions(connection, rows, delivery_of)), None)

    async def put_back(self, now: datetime, catch_up: timedelta) -> None:
        """The clock may have been ahead until now, here or in another process: correct what that left behind.

        Attempts that seem to be still to come were made nobody knows how long ago.
        """
        of_the_future = (deliveries.c.state == State.PENDING) & (deliveries.c.first_attempt_at > now)
        values = {"first_attempt_at": now - LONG_AGO, "retry_at": now}
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(of_the_future).values(**values))
            for table in (deliveries, steps, notices, reconciliations):
                too_late = table.c.retry_at > now + LONGEST_WAIT
                await connection.execute(update(table).where(too_late).values(retry_at=now))
        await reschedule(self._database, now, catch_up)

    async def begin_again(self, delivery: Delivery, now: datetime, lease: timedelta) -> bool:
        """Record, before it is sent again, that it was not posted until now; False where another attempt holds it."""
        async with self._database.write() as connection:
            statement = (
                update(deliveries)
                .where(self._is_held(delivery))
                .values(first_attempt_at=now, retry_at=now + lease, cursor=None)
            )
            return bool((await connection.execute(statement)).rowcount)

    async def read_on(self, delivery: Delivery, cursor: str, now: datetime) -> None:
        """Record how far its channel's history has been read for it, to be read on at once."""
        known = {"first_attempt_at": delivery.first_attempt_at}  # reading isn't an attempt that may have posted it
        values = known | {"cursor": cursor, "retry_at": now, "attempt_at": None}
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(self._is_held(delivery)).values(values))

    async def replan(self, delivery: Delivery, plan: Planner) -> Delivery | None:
        """Give a delivery that was not yet attempted another topic, as its own has left the content.

        None where another attempt holds it.
        """
        async with self._database.write() as connection:
            current = await subs.by_id(connection, delivery.subscription.id, **LOCKED) or delivery.subscription
            planned = plan(current, (await used_topics_of(connection, [current]))[current.id])
            values = {"topic": planned.topic, "round": planned.round, "chosen": planned.chosen}
            statement = update(deliveries).where(self._is_held(delivery)).values(**values)
            if not (await connection.execute(statement)).rowcount:
                return None
            moved = await subs.save(connection, apply_plan(current, planned))
        return replace(delivery, subscription=moved, topic=planned.topic, round=planned.round, chosen=planned.chosen)

    async def failed(
        self, delivery: Delivery, at: datetime, reason: str, now: datetime, *, outcome_known: bool
    ) -> None:
        """The attempt failed, and the next one is made at `at`; `outcome_known` if certainly nothing was posted."""
        values: dict[str, Any] = {"retry_at": at, "reason": reason}
        outcome = Outcome.UNKNOWN
        if outcome_known:
            values["first_attempt_at"], outcome = None, Outcome.NOT_SENT
        async with self._database.write() as connection:
            await self._end(connection, delivery, values, now, outcome)

    async def sent(
        self,
        delivery: Delivery,
        message_id: int,
        channel_id: int,
        wanted: Iterable[str],
        now: datetime,
        version: str | None = None,
        form: PostForm | None = None,
        *,
        found: bool = False,
        shown: ShownTopic | None = None,
    ) -> None:
        """Record the message with the version of its topic that it shows, its form, and the steps wanted after it.

        `found` if the message was already in the channel; `shown` if it shows another topic than planned.
        """
        sent = _Sent(delivery, message_id, channel_id, tuple(wanted), now, version, form, found, shown)
        await self._recording.put(sent)

    async def removed(self, delivery: Delivery, reason: str, now: datetime) -> None:
        """It was posted, and its message removed by somebody: nothing follows it."""
        async with self._database.write() as connection:
            values = {"state": State.SENT, "reason": reason, "retry_at": None, "sent_at": now}
            if await self._end(connection, delivery, values, now, Outcome.SENT) and delivery.subscription.blocked:
                await _unblock(connection, delivery.subscription)

    async def unverified(self, delivery: Delivery, reason: str, now: datetime) -> None:
        async with self._database.write() as connection:
            await self._finish(connection, delivery, State.UNVERIFIED, reason, now, Outcome.UNKNOWN)

    async def missed(self, delivery: Delivery, reason: str, now: datetime) -> None:
        """Give up; a topic that a moderator chose is chosen again."""
        async with self._database.write() as connection:
            if await self._finish(connection, delivery, State.MISSED, reason, now, Outcome.GIVEN_UP):
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
            if not await self._finish(connection, delivery, state, reason, now, Outcome.REFUSED):
                return
            if state is State.BLOCKED:
                await _choose_again(connection, delivery)
            await connection.execute(this.values(blocked=reason))
            if told:
                await enqueue(connection, delivery.subscription.id, NoticeKind.BLOCKED, reason, now)

    async def _finish(
        self,
        connection: AsyncConnection,
        delivery: Delivery,
        state: State,
        reason: str,
        now: datetime,
        outcome: Outcome,
    ) -> bool:
        """Give up a delivery; False if it is known by now that it was posted, or another attempt is made."""
        values = {"state": state, "reason": reason, "retry_at": None}
        return await self._end(connection, delivery, values, now, outcome)

    async def _end(
        self, connection: AsyncConnection, delivery: Delivery, values: dict[str, Any], now: datetime, outcome: Outcome
    ) -> bool:
        """Record how an attempt that did not post ended; False if another attempt holds the delivery."""
        if not await self._record(connection, delivery, {**values, "attempt_at": None}):
            return False
        await end(connection, delivery, now, outcome, values["reason"])
        return True


async def _repeated(
    connection: AsyncConnection, subscription: Subscription, action: ManualAction, now: datetime
) -> Delivery | None:
    """The channel's latest manual delivery of the last minute, if the action would do the same."""
    states = [State.SKIPPED] if action.skips else [State.PENDING, State.SENT, State.UNVERIFIED]
    these = (deliveries.c.subscription_id == subscription.id) & ~deliveries.c.scheduled & deliveries.c.state.in_(states)
    query = select(deliveries).where(these, _lately(now)).order_by(deliveries.c.slot.desc())
    row = (await connection.execute(query)).first()
    return delivery_of(row, subscription) if row and action.topic in (None, row.topic) else None


def _lately(now: datetime) -> ColumnElement[bool]:
    """Whether it was done within the last minute, or by a clock that is a little ahead."""
    return _DONE_AT.between(now - REPEATED_WITHIN, now + REPEATED_WITHIN)


def _posted_in(channel_id: int) -> ColumnElement[bool]:
    return (subscriptions.c.channel_id == channel_id) & (deliveries.c.state == State.SENT)


def _begun(now: datetime) -> dict[str, Any]:
    return {"attempt_at": now, **first_attempt(deliveries, now)}


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
        version=bindparam("_version"),
        form=bindparam("_form"),
    )
)


async def _record(connection: AsyncConnection, group: list[_Sent]) -> Sequence[None]:
    columns = ("message_id", "message_channel_id", "sent_at", "version", "form")
    rows = [{"_id": sent.delivery.id, **{f"_{name}": getattr(sent, name) for name in columns}} for sent in group]
    await connection.execute(_RECORD, rows)
    wanted = [row for sent in group for row in rows_of(sent.delivery.id, sent.wanted, sent.sent_at)]
    if wanted:
        await connection.execute(insert_into(connection, steps).on_conflict_do_nothing(), wanted)
    for sent in group:
        if sent.found:
            await _found(connection, sent)
        if sent.shown:
            await record_shown_topic(connection, sent.delivery.id, sent.shown)
        if sent.delivery.subscription.blocked:
            await _unblock(connection, sent.delivery.subscription)
    return [None] * len(group)


async def _found(connection: AsyncConnection, sent: _Sent) -> None:
    this = deliveries.c.id == sent.delivery.id
    await connection.execute(update(deliveries).where(this).values(attempt_at=None))
    await end(connection, sent.delivery, sent.sent_at, Outcome.FOUND, None)


async def _unblock(connection: AsyncConnection, subscription: Subscription) -> None:
    healed = {"blocked": None, "warning": None}  # should something else be wrong, the next check tells it
    await connection.execute(update(subscriptions).where(subscriptions.c.id == subscription.id).values(healed))
    await subs.forget_notices(connection, subscription)


async def _is_last(connection: AsyncConnection, delivery: Delivery, current: Subscription) -> bool:
    """Whether the delivery is the latest, and no other topic was chosen since."""
    if not current.active or current.paused or current.chosen_topic not in (None, delivery.topic):
        return False
    query = select(func.max(deliveries.c.slot)).where(deliveries.c.subscription_id == current.id)
    return bool(await connection.scalar(query) == delivery.slot)


async def _choose_again(connection: AsyncConnection, delivery: Delivery) -> None:
    """Let a topic that a moderator chose come next again, unless another was chosen or a new round begun meanwhile.

    A topic that was not chosen comes next by itself, as its round lacks it.
    """
    if not delivery.chosen:
        return
    this = (subscriptions.c.id == delivery.subscription.id) & (subscriptions.c.round <= delivery.round)
    undecided = this & subscriptions.c.chosen_topic.is_(None)
    await connection.execute(update(subscriptions).where(undecided).values(chosen_topic=delivery.topic))
