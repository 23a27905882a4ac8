"""Reconciliations: channels in which may stand what the ledger does not know of, as it is that of an earlier time."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.metadata import get_entry
from weekbot.db.snapshot_marker import ALIVE_AT, remove_snapshot_marker, snapshot_taken_at
from weekbot.db.tables import deliveries, guilds, reconciliations, steps, subscriptions
from weekbot.db.upsert import insert_into
from weekbot.domain.deliveries import Delivery, Planner, State
from weekbot.domain.planning import apply_plan
from weekbot.domain.reconciliations import LookingBackError, PlannerFor, Post, Reconciliation, slot_of
from weekbot.domain.subscriptions import Subscription
from weekbot.store import subscriptions as subs
from weekbot.store.claims import free_instant, insert_planned, used_topics_of
from weekbot.store.locks import LOCKED
from weekbot.store.metadata import Metadata
from weekbot.store.queue import LeasedQueue
from weekbot.store.rows import row_of
from weekbot.store.shown_topics import ShownTopic, record_shown_topic
from weekbot.store.steps import rows_of

log = logging.getLogger(__name__)


class Found(NamedTuple):
    """Posts that were missing in the ledger, and posts whose deliveries were pending in it."""

    unknown: list[Post]
    pending: list[Post]


_IS_THERE = reconciliations.c.subscription_id.in_(
    select(subscriptions.c.id).join(guilds).where(subscriptions.c.active, guilds.c.left_at.is_(None))
)
"""The bot is in the server and the channel is subscribed; otherwise its reconciliation waits until that is so again."""


class Reconciliations(LeasedQueue[Reconciliation]):
    """While a subscription has one, nothing is claimed for it. The next slot comes first."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            database,
            reconciliations,
            _IS_THERE,
            _reconciliation,
            query=select(reconciliations).join(subscriptions),
            order=[subscriptions.c.next_slot],
            key=lambda this: {"subscription_id": this.subscription.id},
        )

    async def begin(self, now: datetime) -> datetime | None:
        """Before the first claim: since when this ledger may not know what was posted; None if it never was alive.

        It may be a copy that does not say so, such as a machine's that was put back. What is pending may have been
        posted since. In a copy that says so every channel is reconciled.
        """
        async with self._database.write() as connection:
            if taken_at := await remove_snapshot_marker(connection):
                log.warning("the database is a copy of %s; what was posted since is looked up first", taken_at)
                await _want_all(connection, taken_at, now)
            alive_at = await get_entry(connection, ALIVE_AT)
            since = taken_at or (datetime.fromisoformat(alive_at) if alive_at else None)
            pending = (deliveries.c.state == State.PENDING) & deliveries.c.first_attempt_at.is_(None)
            if since:
                await connection.execute(update(deliveries).where(pending).values(first_attempt_at=since))
        await self.alive(now)
        return since

    async def alive(self, now: datetime) -> None:
        """Record that until now this ledger knows what was posted."""
        await Metadata(self._database).put(ALIVE_AT, now.isoformat())

    async def want(self, unsure: Iterable[Subscription], since: datetime | None, now: datetime) -> None:
        """Have it looked up what was posted in these channels since then, or else since their last slot."""
        rows = [
            {"subscription_id": each.id, "since": since or (each.last_slot or each.next_slot).instant}
            | {"restored": False, "attempts": 0, "retry_at": now}
            for each in unsure
        ]
        async with self._database.write() as connection:
            await connection.execute(insert_into(connection, reconciliations).on_conflict_do_nothing(), rows)

    async def found(
        self,
        this: Reconciliation,
        posts: Iterable[Post],
        plan: PlannerFor,
        wanted: Sequence[str],
        now: datetime,
        cursor: str | None,
    ) -> Found:
        """Record the posts that the ledger doesn't know, and return them.

        The last of them gets the steps that are wanted, as nobody knows whether they were carried out, and twice does
        no harm. `cursor` is where to go on in the history, None at its end.
        """
        async with self._database.write() as connection:
            current = await self._still_held(connection, this)
            if current is None:
                return Found([], [])
            unknown, pending = await _news(connection, posts)
            for post in unknown:
                current = await _record(connection, current, post, plan(post.topic))
            for post in pending:
                await _settle(connection, post, plan(post.topic))
            if news := sorted([*unknown, *pending], key=lambda post: post.at):
                await _want(connection, rows_of(news[-1].delivery_id, wanted, now))
            await self._go_on(connection, this, now, cursor)
            return Found(unknown, pending)

    async def unreadable(self, this: Reconciliation, plan: Planner, now: datetime) -> None:
        """Nobody can tell what was posted: where the ledger is older for certain, slots that passed get that plan."""
        async with self._database.write() as connection:
            current = await self._still_held(connection, this)
            while current and this.restored and current.is_due(now):
                await insert_planned(connection, [current], plan, now)  # nothing if the ledger already has the week
                current = await subs.by_id(connection, current.id, **LOCKED)
            await self._go_on(connection, this, now, None)

    async def _still_held(self, connection: AsyncConnection, this: Reconciliation) -> Subscription | None:
        """The subscription as it stands; None if another attempt has begun."""
        current = await subs.by_id(connection, this.subscription.id, **LOCKED)
        held = await connection.scalar(select(reconciliations.c.subscription_id).where(self._is_held(this)))
        return current if held is not None else None

    async def _go_on(
        self, connection: AsyncConnection, this: Reconciliation, now: datetime, cursor: str | None
    ) -> None:
        if cursor is None:
            await connection.execute(delete(reconciliations).where(self._is_held(this)))
        else:
            await self._record(connection, this, {"cursor": cursor, "retry_at": now})


async def check_reconciled(connection: AsyncConnection, subscription: Subscription) -> None:
    """Raises LookingBackError."""
    query = select(reconciliations.c.since).where(reconciliations.c.subscription_id == subscription.id)
    if await connection.scalar(query) or await snapshot_taken_at(connection):
        raise LookingBackError


async def _want_all(connection: AsyncConnection, since: datetime, now: datetime) -> None:
    """One that is there already begins no later than that."""
    columns = reconciliations.c
    values = select(
        subscriptions.c.id,
        literal(since, columns.since.type),
        literal(True, columns.restored.type),
        literal(0),
        literal(now, columns.retry_at.type),
    ).where(subscriptions.c.id == subscriptions.c.id)  # SQLite cannot tell ON CONFLICT from a join's ON
    filled = ["subscription_id", "since", "restored", "attempts", "retry_at"]
    new = insert_into(connection, reconciliations).from_select(filled, values)
    await connection.execute(new.on_conflict_do_update(index_elements=["subscription_id"], set_={"restored": True}))


def _reconciliation(row: Any, subscription: Subscription) -> Reconciliation:
    return Reconciliation(subscription, row.since, row.restored, row.attempts + 1, row.cursor)


async def _news(connection: AsyncConnection, posts: Iterable[Post]) -> tuple[list[Post], list[Post]]:
    """Posts that are not in the ledger, and those that are there as pending; each in the order in which they stand."""
    by_id = {post.delivery_id: post for post in sorted(posts, key=lambda post: post.at)}
    query = select(deliveries.c.id, deliveries.c.state).where(deliveries.c.id.in_(by_id))
    known = {row.id: row.state for row in await connection.execute(query)}
    unknown = [post for id_, post in by_id.items() if id_ not in known]
    return unknown, [post for id_, post in by_id.items() if known.get(id_) == State.PENDING]


async def _settle(connection: AsyncConnection, post: Post, plan: Planner) -> None:
    """Record a pending delivery as sent by this post, which may show another topic."""
    values = {
        "state": State.SENT,
        "retry_at": None,
        "reason": None,
        "attempt_at": None,
        "message_id": post.message_id,
        "message_channel_id": post.channel_id,
        "sent_at": post.at,
    }
    await connection.execute(update(deliveries).where(deliveries.c.id == post.delivery_id).values(values))
    await record_shown_topic(connection, post.delivery_id, ShownTopic(post.topic, plan))


async def _record(connection: AsyncConnection, current: Subscription, post: Post, plan: Planner) -> Subscription:
    """What the ledger would have, had it not been lost; the subscription moved on."""
    planned = plan(current, (await used_topics_of(connection, [current]))[current.id])
    moved, slot = apply_plan(current, planned), slot_of(current, post)
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


async def _want(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(insert_into(connection, steps).on_conflict_do_nothing(), rows)
