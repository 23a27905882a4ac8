"""The ledger: one row for each (subscription, slot), from its claim to its outcome."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.group_commit import GroupCommit
from weekbot.db.postgresql import wake_leader
from weekbot.db.tables import deliveries, notices, reconciliations, steps, subscriptions
from weekbot.domain.deliveries import USED_STATES, Delivery, Outcome, Planner, PostForm, State, UsedTopics, manual_id
from weekbot.domain.notices import NoticeKind
from weekbot.domain.planning import apply_plan, is_still_due
from weekbot.domain.subscriptions import Subscription
from weekbot.store import claims
from weekbot.store import subscriptions as subs
from weekbot.store.attempts import record_outcome, record_unfinished
from weekbot.store.notices import enqueue
from weekbot.store.queue import LeasedQueue, first_attempt
from weekbot.store.reconciliations import check_reconciled
from weekbot.store.rescheduling import reschedule
from weekbot.store.rows import CLAIMING, delivery_of, update_each
from weekbot.store.steps import insert_rows, new_rows

_WITH_SUBSCRIPTIONS = select(deliveries).join(subscriptions)
LONG_AGO = timedelta(days=1)  # long enough for Discord to have forgotten a nonce
LONGEST_WAIT = timedelta(days=1)  # until the next attempt at anything, unless a clock was wrong


class RepeatedError(Exception):
    """This manual delivery did the same within the last minute."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery.id)
        self.delivery = delivery


class _SentPost(NamedTuple):
    delivery: Delivery
    columns: dict[str, Any]
    steps: tuple[str, ...]
    now: datetime
    found: bool
    shown: claims.ShownTopic | None


class Deliveries(LeasedQueue[Delivery]):
    """The queue of pending deliveries. Sent ones may wait up to `linger` to be recorded together."""

    _table, _query = deliveries, select(deliveries).order_by(deliveries.c.retry_at)
    _is_open = deliveries.c.state == State.PENDING

    def __init__(self, database: Database, linger: timedelta = timedelta()) -> None:
        super().__init__(database)
        self._recording = GroupCommit(database, _record_sent, linger)

    def _job(self, row: Row[Any], subscription: Subscription) -> Delivery:
        return delivery_of(row, subscription)

    def _begun(self, now: datetime) -> dict[str, Any]:
        return {"attempt_at": now, **first_attempt(deliveries, now)}

    async def claim_due(
        self, due: Sequence[Subscription], plan: Planner, now: datetime, lease: timedelta | None = None
    ) -> list[Delivery]:
        """Insert the due slots' deliveries and move the subscriptions to their next slots, in one transaction.

        With a lease, those to be posted are leased for their first attempt until `now + lease`. A subscription that was
        claimed or edited meanwhile is left out.
        """
        async with self._database.write() as connection:
            known = await subs.by_ids(connection, {each.id for each in due}, **CLAIMING)
            current = [known[each.id] for each in due if each.id in known and is_still_due(each, known[each.id])]
            return await claims.insert_planned(connection, current, plan, now, lease)

    async def claim_manual(
        self,
        subscription: Subscription,
        plan: Planner,
        now: datetime,
        lease: timedelta | None,
        action: claims.ManualAction | None = None,
    ) -> Delivery | None:
        """Claim a delivery outside the schedule; None if another is in flight, or the interaction already has one.

        Without a lease, the delivery is left to the leader, which is woken. Raises LookingBackError, and RepeatedError
        if a moderator's `action` is a repetition.
        """
        async with self._database.write() as connection:
            current = await subs.locked(connection, subscription.id)
            if current and action and (repeated := await claims.find_repeated(connection, current, action, now)):
                raise RepeatedError(repeated)
            await check_reconciled(connection, subscription)
            id_ = manual_id(action.interaction_id if action else None)
            in_flight = (deliveries.c.subscription_id == subscription.id) & self._is_open
            same = select(deliveries.c.id).where(in_flight | (deliveries.c.id == id_))
            if current is None or await connection.scalar(same):
                return None
            slot = await claims.free_instant(connection, current, now)
            inserted = await claims.insert_planned(connection, [current], plan, now, lease, unscheduled=(id_, slot))
            if lease is None:
                await wake_leader(connection)
            return next(iter(inserted), None)

    async def _lease(
        self, connection: AsyncConnection, jobs: list[Delivery], now: datetime, lease: timedelta
    ) -> list[Delivery]:
        """Lease the deliveries; `first_attempt_at` keeps the value from before this attempt."""
        await record_unfinished(connection, jobs)
        return [claims.leased(each, now, lease) for each in await super()._lease(connection, jobs, now, lease)]

    async def retry_now(self, now: datetime) -> None:
        """Make waiting retries due now; deliveries that are being attempted keep their lease."""
        waiting = self._is_open & (deliveries.c.retry_at > now) & deliveries.c.attempt_at.is_(None)
        await self._execute(update(deliveries).where(waiting).values(retry_at=now))

    async def reopen(self, delivery: Delivery, now: datetime) -> bool:
        """Retry a refused delivery now; False if another delivery, or a moderator's choice, came after it."""
        async with self._database.write() as connection:
            current = await subs.locked(connection, delivery.subscription.id)
            if current is None or not await _is_last(connection, delivery, current):
                return False
            this = (deliveries.c.id == delivery.id) & (deliveries.c.state == State.BLOCKED)
            again = {"state": State.PENDING, "first_attempt_at": None, "retry_at": now}
            if not (await connection.execute(update(deliveries).where(this).values(**again))).rowcount:
                return False
            await subs.save(connection, replace(current, chosen_topic=None))
            await wake_leader(connection)
            return True

    async def repair_future_times(self, now: datetime, catch_up: timedelta) -> None:
        """Correct what a clock that was ahead left behind, in this or another process.

        An attempt in the future was made at an unknown time in the past.
        """
        future = self._is_open & (deliveries.c.first_attempt_at > now)
        values = {"first_attempt_at": now - LONG_AGO, "retry_at": now}
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(future).values(**values))
            for table in (deliveries, steps, notices, reconciliations):
                too_late = table.c.retry_at > now + LONGEST_WAIT
                await connection.execute(update(table).where(too_late).values(retry_at=now))
        await reschedule(self._database, now, catch_up)

    async def restart(self, delivery: Delivery, now: datetime, lease: timedelta) -> bool:
        """Record, before it is sent again, that it isn't posted yet; False if another attempt holds it."""
        return await self.retry(delivery, now + lease, first_attempt_at=now, cursor=None)

    async def save_cursor(self, delivery: Delivery, cursor: str, now: datetime) -> None:
        """Record how far the channel's history has been read, and continue at once."""
        first = delivery.first_attempt_at  # reading isn't an attempt that may have posted it
        await self.retry(delivery, now, cursor=cursor, attempt_at=None, first_attempt_at=first)

    async def change_topic(self, delivery: Delivery, plan: Planner) -> Delivery | None:
        """Give another topic to a delivery that certainly isn't posted; None if another attempt holds it."""
        async with self._database.write() as connection:
            current = await subs.locked(connection, delivery.subscription.id) or delivery.subscription
            planned = await claims.plan_for(connection, current, plan)
            values: dict[str, Any] = {"topic": planned.topic, "round": planned.round, "chosen": planned.chosen}
            if not await self._record(connection, delivery, values):
                return None
            moved = await subs.save(connection, apply_plan(current, planned))
        return replace(delivery, subscription=moved, **values)

    async def record_failed(
        self, delivery: Delivery, at: datetime, reason: str, now: datetime, *, outcome_known: bool
    ) -> None:
        """Record a failed attempt, and retry at `at`; `outcome_known` if certainly nothing was posted."""
        known = {"first_attempt_at": None} if outcome_known else {}
        outcome = Outcome.NOT_SENT if outcome_known else Outcome.UNKNOWN
        async with self._database.write() as connection:
            await self._end(connection, delivery, now, outcome, reason=reason, retry_at=at, **known)

    async def record_sent(
        self,
        delivery: Delivery,
        message_id: int,
        channel_id: int,
        steps: Iterable[str],
        now: datetime,
        version: str | None = None,
        form: PostForm | None = None,
        *,
        found: bool = False,
        shown: claims.ShownTopic | None = None,
    ) -> None:
        """Record the message, the version of the topic that it shows, its form, and the steps to run after it.

        `found` if the message was already in the channel; `shown` if it shows another topic than planned.
        """
        message = {"message_id": message_id, "message_channel_id": channel_id, "version": version, "form": form}
        await self._recording.put(_SentPost(delivery, {**message, "sent_at": now}, tuple(steps), now, found, shown))

    async def record_removed(self, delivery: Delivery, reason: str, now: datetime) -> None:
        async with self._database.write() as connection:
            sent = {"state": State.SENT, "sent_at": now, "reason": reason}
            if await self._end(connection, delivery, now, Outcome.SENT, **sent) and delivery.subscription.blocked:
                await _unblock(connection, delivery.subscription)

    async def record_unverified(self, delivery: Delivery, reason: str, now: datetime) -> None:
        async with self._database.write() as connection:
            await self._end(connection, delivery, now, Outcome.UNKNOWN, state=State.UNVERIFIED, reason=reason)

    async def record_missed(self, delivery: Delivery, reason: str, now: datetime) -> None:
        """Give up the delivery; a topic that a moderator chose is chosen again."""
        async with self._database.write() as connection:
            if await self._end(connection, delivery, now, Outcome.GIVEN_UP, state=State.MISSED, reason=reason):
                await _choose_again(connection, delivery)

    async def record_blocked(
        self, delivery: Delivery, reason: str, now: datetime, *, state: State = State.BLOCKED, notify: bool = True
    ) -> None:
        """Record that Discord refused it. The subscription keeps its settings, and its next slot tries again.

        Moderators are notified once until a post succeeds, unless `notify` is False. `state` is UNVERIFIED if an
        earlier attempt may have succeeded.
        """
        this = update(subscriptions).where(subscriptions.c.id == delivery.subscription.id)
        async with self._database.write() as connection:
            if not await self._end(connection, delivery, now, Outcome.REFUSED, state=state, reason=reason):
                return
            if state is State.BLOCKED:
                await _choose_again(connection, delivery)
            await connection.execute(this.values(blocked=reason))
            if notify:
                await enqueue(connection, delivery.subscription.id, NoticeKind.BLOCKED, reason, now)

    async def get(self, delivery_id: str) -> Delivery | None:
        return await self._latest(select(deliveries).where(deliveries.c.id == delivery_id))

    async def last(self, subscription_ids: Iterable[int], *states: State) -> dict[int, Delivery]:
        """By subscription id, its latest delivery in one of the states."""
        these = deliveries.c.subscription_id.in_(list(subscription_ids)) & deliveries.c.state.in_(states)
        slots = select(deliveries.c.subscription_id, func.max(deliveries.c.slot).label("slot")).where(these)
        latest = slots.group_by(deliveries.c.subscription_id).subquery()
        same = (deliveries.c.subscription_id == latest.c.subscription_id) & (deliveries.c.slot == latest.c.slot)
        found = await self._all(select(deliveries).join(latest, same))
        return {delivery.subscription.id: delivery for delivery in found}

    async def refused(self, guild_ids: Iterable[int], since: datetime) -> list[Delivery]:
        """The servers' scheduled deliveries since that instant that Discord refused."""
        recent = (deliveries.c.state == State.BLOCKED) & deliveries.c.scheduled & (deliveries.c.slot >= since)
        return await self._all(_WITH_SUBSCRIPTIONS.where(recent, subscriptions.c.guild_id.in_(list(guild_ids))))

    async def used_topics(self, subscription: Subscription) -> UsedTopics:
        async with self._database.read() as connection:
            return (await claims.used_topics_of(connection, [subscription]))[subscription.id]

    async def topics_of(self, channel_id: int) -> set[str]:
        query = select(deliveries.c.topic).join(subscriptions).where(_posted_in(channel_id)).distinct()
        return set(await self._values(query))

    async def last_of_topic(self, channel_id: int, names: Collection[str]) -> Delivery | None:
        """The channel's latest post of a topic, which may have had several names."""
        return await self._latest(_WITH_SUBSCRIPTIONS.where(_posted_in(channel_id), deliveries.c.topic.in_(names)))

    async def recently_chosen(self, channel_id: int, topic: str, now: datetime) -> Delivery | None:
        """The channel's post of this topic within the last minute, if a moderator had chosen the topic."""
        chosen = claims.done_recently(now) & deliveries.c.state.in_(USED_STATES) & deliveries.c.chosen
        this = (subscriptions.c.channel_id == channel_id) & (deliveries.c.topic == topic)
        return await self._latest(_WITH_SUBSCRIPTIONS.where(this, chosen))

    async def is_round_new(self, channel_id: int, now: datetime) -> bool:
        """Return whether the channel's current round has used no topic yet, except within the last minute."""
        used = deliveries.c.state.in_(USED_STATES) & (now - claims.REPEATED_WITHIN > claims.DONE_AT)
        this = (subscriptions.c.channel_id == channel_id) & (subscriptions.c.round == deliveries.c.round)
        return await self._latest(_WITH_SUBSCRIPTIONS.where(this, used)) is None

    async def _all(self, query: Select[Any]) -> list[Delivery]:
        async with self._database.read() as connection:
            return await subs.with_subscriptions(connection, query, delivery_of)

    async def _latest(self, query: Select[Any]) -> Delivery | None:
        return next(iter(await self._all(query.order_by(deliveries.c.slot.desc()).limit(1))), None)

    async def _end(
        self, connection: AsyncConnection, delivery: Delivery, now: datetime, outcome: Outcome, **values: Any
    ) -> bool:
        """Record the outcome of an attempt; False if it is already recorded as posted, or another attempt has begun."""
        if not await self._record(connection, delivery, {"retry_at": None, "attempt_at": None, **values}):
            return False
        await record_outcome(connection, delivery, now, outcome, values["reason"])
        return True


def _posted_in(channel_id: int) -> ColumnElement[bool]:
    return (subscriptions.c.channel_id == channel_id) & (deliveries.c.state == State.SENT)


async def _record_sent(connection: AsyncConnection, group: list[_SentPost]) -> Sequence[None]:
    sent = {"state": State.SENT, "reason": None, "retry_at": None}
    await update_each(connection, deliveries, {post.delivery.id: sent | post.columns for post in group})
    await insert_rows(connection, [row for post in group for row in new_rows(post.delivery.id, post.steps, post.now)])
    for post in group:
        if post.found:
            this = update(deliveries).where(deliveries.c.id == post.delivery.id)
            await connection.execute(this.values(attempt_at=None))
            await record_outcome(connection, post.delivery, post.now, Outcome.FOUND, None)
        if post.shown:
            await claims.record_shown_topic(connection, post.delivery.id, post.shown)
        if post.delivery.subscription.blocked:
            await _unblock(connection, post.delivery.subscription)
    return [None] * len(group)


async def _unblock(connection: AsyncConnection, subscription: Subscription) -> None:
    healed = {"blocked": None, "warning": None}  # the next preflight warns of any other problem
    await connection.execute(update(subscriptions).where(subscriptions.c.id == subscription.id).values(healed))
    await subs.delete_notices(connection, subscription)


async def _is_last(connection: AsyncConnection, delivery: Delivery, current: Subscription) -> bool:
    """Return whether the delivery is the latest, and no other topic was chosen since."""
    if not current.active or current.paused or current.chosen_topic not in (None, delivery.topic):
        return False
    query = select(func.max(deliveries.c.slot)).where(deliveries.c.subscription_id == current.id)
    return bool(await connection.scalar(query) == delivery.slot)


async def _choose_again(connection: AsyncConnection, delivery: Delivery) -> None:
    """Make a chosen topic the next one again, unless another was chosen or a new round has begun meanwhile.

    A topic that wasn't chosen comes next anyway, because its round lacks it.
    """
    if not delivery.chosen:
        return
    this = (subscriptions.c.id == delivery.subscription.id) & (subscriptions.c.round <= delivery.round)
    undecided = this & subscriptions.c.chosen_topic.is_(None)
    await connection.execute(update(subscriptions).where(undecided).values(chosen_topic=delivery.topic))
