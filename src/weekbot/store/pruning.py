"""Pruning: old rows that nothing reads any more are deleted, in small batches."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, exists, select

from weekbot.db.database import Database
from weekbot.db.tables import attempts, deliveries, steps, subscriptions
from weekbot.domain.deliveries import State

log = logging.getLogger(__name__)

DELIVERIES_KEPT = timedelta(days=2 * 365)
STEPS_KEPT = timedelta(days=30)  # longer than any attempt could take to record a post a second time
ATTEMPTS_KEPT = timedelta(days=90)  # an outage makes many; the delivery keeps its final state
SLICE_SIZE = 1000  # subscriptions; reading their deliveries takes milliseconds
BATCH_SIZE = 500  # rows of each table, so that the transaction is short
REST = timedelta(days=1)


class Pruning:
    """Walks through all subscriptions, then rests for a day. Its position isn't stored: each process begins anew."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after = 0
        self._rests_until: datetime | None = None
        self._deleted = 0

    def is_resting(self, now: datetime) -> bool:
        return self._rests_until is not None and now < self._rests_until

    async def delete_batch(self, now: datetime) -> int:
        """Delete the next few rows, and return their number."""
        if self.is_resting(now):
            return 0
        later = select(subscriptions.c.id).where(subscriptions.c.id > self._after).order_by(subscriptions.c.id)
        async with self._database.read() as connection:
            slice_ = (await connection.scalars(later.limit(SLICE_SIZE))).all()
            old = (await connection.scalars(_old_deliveries(slice_, now - DELIVERIES_KEPT))).all() if slice_ else []
            done = (await connection.execute(_done_steps(now - STEPS_KEPT))).all()
            ended = (await connection.execute(_old_attempts(now - ATTEMPTS_KEPT))).all()
        if count := len(old) + len(done) + len(ended):
            await self._delete(old, done, ended)
            self._deleted += count
        if slice_ and len(old) < BATCH_SIZE:
            self._after = slice_[-1]
        elif not (slice_ or done or ended):
            self._rest(now)
        return count

    async def _delete(self, old: Sequence[str], done: Sequence[Row[Any]], ended: Sequence[Row[Any]]) -> None:
        """Delete the rows, except posts that were marked for correction in the meantime."""
        async with self._database.write() as connection:
            for table, rows in ((steps, done), (attempts, ended)):
                if rows:  # deleted one by one: SQLite would look for a list of pairs without its index
                    is_this = [column == bindparam(column.name) for column in table.primary_key]
                    await connection.execute(delete(table).where(*is_this), [row._asdict() for row in rows])
            if old:
                await connection.execute(
                    delete(deliveries).where(deliveries.c.id.in_(old), deliveries.c.correct_at.is_(None))
                )

    def _rest(self, now: datetime) -> None:
        if self._deleted:
            log.info("deleted %d old rows", self._deleted)
        self._after, self._rests_until, self._deleted = 0, now + REST, 0


_LATER = deliveries.alias("later")
_IS_LATER = (_LATER.c.subscription_id == deliveries.c.subscription_id) & (_LATER.c.slot > deliveries.c.slot)
# A lookup shows the topic's latest post only, the status the latest delivery.
_POSTED_AGAIN = exists().where(_IS_LATER, _LATER.c.state == State.SENT, _LATER.c.topic == deliveries.c.topic)
_FOLLOWED = exists().where(_IS_LATER, _LATER.c.state != State.SKIPPED)
_IS_SHOWN_NO_MORE = _POSTED_AGAIN | ((deliveries.c.state != State.SENT) & _FOLLOWED)
_IS_UNUSED = (deliveries.c.round < subscriptions.c.round) | deliveries.c.state.in_([State.MISSED, State.BLOCKED])
"""The delivery doesn't affect the choice of the next topic."""


def _old_deliveries(slice_: Sequence[int], before: datetime) -> Select[Any]:
    """Select ids of the subscriptions' deliveries from before that instant which nothing reads."""
    is_old = subscriptions.c.id.between(slice_[0], slice_[-1]) & (deliveries.c.slot < before)
    is_done = (deliveries.c.state != State.PENDING) & deliveries.c.correct_at.is_(None)
    old = select(deliveries.c.id).join(subscriptions).where(is_old, is_done, _IS_UNUSED, _IS_SHOWN_NO_MORE)
    return old.limit(BATCH_SIZE)


def _done_steps(before: datetime) -> Select[Any]:
    """Select steps done before that instant. The status shows the reasons of the last post's failed steps."""
    done = select(*steps.primary_key).join(deliveries).where(steps.c.done, steps.c.retry_at < before)
    return done.where(steps.c.reason.is_(None) | _FOLLOWED).order_by(steps.c.retry_at).limit(BATCH_SIZE)


def _old_attempts(before: datetime) -> Select[Any]:
    old = select(*attempts.primary_key).where(attempts.c.began_at < before)
    return old.order_by(attempts.c.began_at).limit(BATCH_SIZE)
