"""Pruning: what nothing is read from any more is deleted, a few rows at a time."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.tables import attempts, deliveries, steps, subscriptions
from weekbot.domain.deliveries import State

log = logging.getLogger(__name__)

DELIVERIES_KEPT = timedelta(days=2 * 365)
STEPS_KEPT = timedelta(days=30)  # longer than any attempt could take to record a post a second time
ATTEMPTS_KEPT = timedelta(days=90)  # an outage makes many; what became of the post is kept with it
A_SLICE = 1000  # subscriptions: a look at them takes milliseconds
MOST_AT_ONCE = 500  # rows of each table: a transaction that deletes them is short
BETWEEN_WALKS = timedelta(days=1)


class Pruning:
    """Walks through the subscriptions, again and again; between two walks it rests for a day.

    How far it has come is not kept: a process that starts begins anew, and finds less to do.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after = 0
        self._rests_until: datetime | None = None
        self._deleted = 0

    def rests(self, now: datetime) -> bool:
        return self._rests_until is not None and now < self._rests_until

    async def go_on(self, now: datetime) -> int:
        """Delete a few rows at the next place where there are any to delete; how many they were."""
        if self.rests(now):
            return 0
        async with self._database.read() as connection:
            slice_ = await _slice(connection, self._after)
            old = await _old_deliveries(connection, slice_, now - DELIVERIES_KEPT)
            done = await _done_steps(connection, now - STEPS_KEPT)
            ended = await _old_attempts(connection, now - ATTEMPTS_KEPT)
        if old or done or ended:
            await self._delete(old, done, ended)
        if slice_ and len(old) < MOST_AT_ONCE:
            self._after = slice_[-1]
        elif not (slice_ or done or ended):
            self._rest(now)
        return len(old) + len(done) + len(ended)

    async def _delete(
        self, old: Sequence[str], done: Sequence[tuple[str, str]], ended: Sequence[tuple[str, int]]
    ) -> None:
        """A copy that was marked to be corrected in the meantime stays."""
        marked = deliveries.c.correct_at.is_not(None)
        async with self._database.write() as connection:
            if done:
                await connection.execute(_DELETE_STEP, [{"_id": id_, "_name": name} for id_, name in done])
            if ended:
                await connection.execute(_DELETE_ATTEMPT, [{"_id": id_, "_number": number} for id_, number in ended])
            if old:
                await connection.execute(delete(deliveries).where(deliveries.c.id.in_(old), ~marked))
        self._deleted += len(old) + len(done) + len(ended)

    def _rest(self, now: datetime) -> None:
        if self._deleted:
            log.info("deleted %d old rows that were not needed any more", self._deleted)
        self._after, self._rests_until, self._deleted = 0, now + BETWEEN_WALKS, 0


# One by one: SQLite would look for a list of pairs without its index.
_DELETE_STEP = delete(steps).where(steps.c.delivery_id == bindparam("_id"), steps.c.name == bindparam("_name"))
_DELETE_ATTEMPT = delete(attempts).where(
    attempts.c.delivery_id == bindparam("_id"), attempts.c.number == bindparam("_number")
)

_LATER = deliveries.alias("later")
_IS_LATER = (_LATER.c.subscription_id == deliveries.c.subscription_id) & (_LATER.c.slot > deliveries.c.slot)
_POSTED_AGAIN = exists().where(_IS_LATER, _LATER.c.state == State.SENT, _LATER.c.topic == deliveries.c.topic)
"""So a lookup shows the later post of the topic."""
_FOLLOWED = exists().where(_IS_LATER, _LATER.c.state != State.SKIPPED)
"""So the status shows a later delivery."""
_COUNTS_NO_MORE = (deliveries.c.round < subscriptions.c.round) | deliveries.c.state.in_([State.MISSED, State.BLOCKED])
"""So the choice of the next topic does not ask for it."""


async def _slice(connection: AsyncConnection, after: int) -> Sequence[int]:
    """The ids of the next subscriptions."""
    query = select(subscriptions.c.id).where(subscriptions.c.id > after).order_by(subscriptions.c.id).limit(A_SLICE)
    return (await connection.scalars(query)).all()


async def _old_deliveries(connection: AsyncConnection, slice_: Sequence[int], before: datetime) -> Sequence[str]:
    """Ids of deliveries of those subscriptions that ended before that and that nobody needs."""
    if not slice_:
        return []
    query = (
        select(deliveries.c.id)
        .join(subscriptions)
        .where(subscriptions.c.id.between(slice_[0], slice_[-1]), deliveries.c.slot < before)
        .where(deliveries.c.state != State.PENDING, deliveries.c.correct_at.is_(None))
        .where(_COUNTS_NO_MORE, _is_shown_no_more())
        .limit(MOST_AT_ONCE)
    )
    return (await connection.scalars(query)).all()


def _is_shown_no_more() -> ColumnElement[bool]:
    return _POSTED_AGAIN | ((deliveries.c.state != State.SENT) & _FOLLOWED)


async def _done_steps(connection: AsyncConnection, before: datetime) -> Sequence[tuple[str, str]]:
    """Keys of steps that were done before that; what kept one from being carried out is shown with the last post."""
    query = (
        select(steps.c.delivery_id, steps.c.name)
        .join(deliveries)
        .where(steps.c.done, steps.c.retry_at < before, steps.c.reason.is_(None) | _FOLLOWED)
        .order_by(steps.c.retry_at)
        .limit(MOST_AT_ONCE)
    )
    return [(row.delivery_id, row.name) for row in await connection.execute(query)]


async def _old_attempts(connection: AsyncConnection, before: datetime) -> Sequence[tuple[str, int]]:
    """Keys of attempts that began before that."""
    query = (
        select(attempts.c.delivery_id, attempts.c.number)
        .where(attempts.c.began_at < before)
        .order_by(attempts.c.began_at)
        .limit(MOST_AT_ONCE)
    )
    return [(row.delivery_id, row.number) for row in await connection.execute(query)]
