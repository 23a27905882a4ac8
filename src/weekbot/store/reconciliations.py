"""Reconciliations: channels that may contain posts which the ledger lacks, because it is from an earlier time."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.metadata import get_entry
from weekbot.db.snapshot_marker import ALIVE_AT, remove_snapshot_marker, snapshot_taken_at
from weekbot.db.tables import deliveries, guilds, reconciliations, subscriptions
from weekbot.db.upsert import insert_into
from weekbot.domain.deliveries import Delivery, Planner, State
from weekbot.domain.planning import apply_plan
from weekbot.domain.reconciliations import LookingBackError, PlannerFor, Post, Reconciliation, slot_of
from weekbot.domain.subscriptions import Subscription
from weekbot.store import subscriptions as subs
from weekbot.store.claims import ShownTopic, free_instant, insert_planned, plan_for, record_shown_topic
from weekbot.store.metadata import Metadata
from weekbot.store.queue import LeasedQueue
from weekbot.store.rows import row_of
from weekbot.store.steps import insert_rows, new_rows

log = logging.getLogger(__name__)


class FoundPosts(NamedTuple):
    """Posts that the ledger lacked, and posts whose deliveries were pending in it."""

    unknown: list[Post]
    pending: list[Post]


class Reconciliations(LeasedQueue[Reconciliation]):
    """While a subscription has one, nothing is claimed for it. The earliest next slot comes first."""

    _table = reconciliations
    _query = select(reconciliations).join(subscriptions).order_by(subscriptions.c.next_slot)
    # It waits until the bot is in the server and the channel is subscribed.
    _is_open = reconciliations.c.subscription_id.in_(
        select(subscriptions.c.id).join(guilds).where(subscriptions.c.active, guilds.c.left_at.is_(None))
    )

    def _job(self, row: Row[Any], subscription: Subscription) -> Reconciliation:
        return Reconciliation(subscription, row.since, row.restored, row.attempts + 1, row.cursor)

    def _key(self, job: Reconciliation) -> dict[str, Any]:
        return {"subscription_id": job.subscription.id}

    async def begin(self, now: datetime) -> datetime | None:
        """Return, before the first claim, since when this ledger may lack posts; None if it was never in use.

        The database may be an unmarked copy, such as that of a restored machine, so pending deliveries may have been
        posted since. If it is marked as a copy, every channel is reconciled.
        """
        async with self._database.write() as connection:
            if taken_at := await remove_snapshot_marker(connection):
                log.warning("the database is a copy of %s; what was posted since is looked up first", taken_at)
                await _request_all(connection, taken_at, now)
            alive_at = await get_entry(connection, ALIVE_AT)
            since = taken_at or (datetime.fromisoformat(alive_at) if alive_at else None)
            pending = (deliveries.c.state == State.PENDING) & deliveries.c.first_attempt_at.is_(None)
            if since:
                await connection.execute(update(deliveries).where(pending).values(first_attempt_at=since))
        await self.record_alive(now)
        return since

    async def record_alive(self, now: datetime) -> None:
        await Metadata(self._database).put(ALIVE_AT, now.isoformat())

    async def request(self, unsure: Iterable[Subscription], since: datetime | None, now: datetime) -> None:
        """Request a look-up of what was posted in these channels since that instant, or since their last slot."""
        starts = {each.id: since or (each.last_slot or each.next_slot).instant for each in unsure}
        new = {"restored": False, "attempts": 0, "retry_at": now}
        rows = [{"subscription_id": id_, "since": start, **new} for id_, start in starts.items()]
        async with self._database.write() as connection:
            await connection.execute(insert_into(connection, reconciliations).on_conflict_do_nothing(), rows)

    async def record_posts(
        self,
        job: Reconciliation,
        posts: Iterable[Post],
        plan: PlannerFor,
        steps: Sequence[str],
        now: datetime,
        cursor: str | None,
    ) -> FoundPosts:
        """Record the posts that the ledger lacks, and return them.

        The last of them gets the steps, which may be repeated safely, as they may not have been carried out. `cursor`
        is where to continue in the history, None at its end.
        """
        async with self._database.write() as connection:
            current = await self._held_subscription(connection, job)
            if current is None:
                return FoundPosts([], [])
            found = await _find_unrecorded(connection, posts)
            for post in found.unknown:
                current = await _insert(connection, current, post, plan(post.topic))
            for post in found.pending:
                await _mark_sent(connection, post, plan(post.topic))
            if recorded := [*found.unknown, *found.pending]:
                last = max(recorded, key=lambda post: post.at)
                await insert_rows(connection, new_rows(last.delivery_id, steps, now))
            await self._advance(connection, job, now, cursor)
            return found

    async def record_unreadable(self, job: Reconciliation, plan: Planner, now: datetime) -> None:
        """Give up, as the history is unreadable. In a restored ledger, the slots that have passed get that plan."""
        async with self._database.write() as connection:
            current = await self._held_subscription(connection, job)
            while current and job.restored and current.is_due(now):
                await insert_planned(connection, [current], plan, now)  # nothing if the ledger already has the week
                current = await subs.locked(connection, current.id)
            await self._advance(connection, job, now, None)

    async def _held_subscription(self, connection: AsyncConnection, job: Reconciliation) -> Subscription | None:
        """The current subscription; None if another attempt has begun."""
        current = await subs.locked(connection, job.subscription.id)
        held = await connection.scalar(select(reconciliations.c.subscription_id).where(self._is_held(job)))
        return current if held is not None else None

    async def _advance(
        self, connection: AsyncConnection, job: Reconciliation, now: datetime, cursor: str | None
    ) -> None:
        if cursor is None:
            await connection.execute(delete(reconciliations).where(self._is_held(job)))
        else:
            await self._record(connection, job, {"cursor": cursor, "retry_at": now})


async def check_reconciled(connection: AsyncConnection, subscription: Subscription) -> None:
    query = select(reconciliations.c.since).where(reconciliations.c.subscription_id == subscription.id)
    if await connection.scalar(query) or await snapshot_taken_at(connection):
        raise LookingBackError


async def _request_all(connection: AsyncConnection, since: datetime, now: datetime) -> None:
    """Existing reconciliations keep their start, which isn't later."""
    columns = reconciliations.c
    since_value, now_value = literal(since, columns.since.type), literal(now, columns.retry_at.type)
    values = select(subscriptions.c.id, since_value, literal(True, columns.restored.type), literal(0), now_value)
    values = values.where(subscriptions.c.id == subscriptions.c.id)  # SQLite can't tell ON CONFLICT from a join's ON
    filled = ["subscription_id", "since", "restored", "attempts", "retry_at"]
    new = insert_into(connection, reconciliations).from_select(filled, values)
    await connection.execute(new.on_conflict_do_update(index_elements=["subscription_id"], set_={"restored": True}))


async def _find_unrecorded(connection: AsyncConnection, posts: Iterable[Post]) -> FoundPosts:
    """The posts that the ledger doesn't know as sent, oldest first."""
    by_id = {post.delivery_id: post for post in sorted(posts, key=lambda post: post.at)}
    query = select(deliveries.c.id, deliveries.c.state).where(deliveries.c.id.in_(by_id))
    known = {row.id: row.state for row in await connection.execute(query)}
    unknown = [post for id_, post in by_id.items() if id_ not in known]
    return FoundPosts(unknown, [post for id_, post in by_id.items() if known.get(id_) == State.PENDING])


async def _mark_sent(connection: AsyncConnection, post: Post, plan: Planner) -> None:
    cleared = {"retry_at": None, "reason": None, "attempt_at": None}
    message = {"message_id": post.message_id, "message_channel_id": post.channel_id, "sent_at": post.at}
    this = update(deliveries).where(deliveries.c.id == post.delivery_id)
    await connection.execute(this.values(state=State.SENT, **cleared, **message))
    await record_shown_topic(connection, post.delivery_id, ShownTopic(post.topic, plan))


async def _insert(connection: AsyncConnection, current: Subscription, post: Post, plan: Planner) -> Subscription:
    """Insert the delivery that the ledger lacks for the post; return the subscription moved past it."""
    planned, slot = await plan_for(connection, current, plan), slot_of(current, post)
    moved = apply_plan(current, planned)
    if slot:
        moved = moved.advanced_past(slot)
    delivery = Delivery(
        id=post.delivery_id,
        subscription=moved,
        slot=slot.instant if slot else await free_instant(connection, current, post.at),
        topic=post.topic,
        round=planned.round,
        scheduled=slot is not None,
        chosen=planned.chosen,
        state=State.SENT,
        message_id=post.message_id,
        message_channel_id=post.channel_id,
        sent_at=post.at,
    )
    await subs.save(connection, moved)
    await connection.execute(insert(deliveries).values(row_of(delivery)))
    return moved
