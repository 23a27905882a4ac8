"""The posts of a topic, and the queue of those to edit because they show an outdated version."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, update

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, guilds, subscriptions
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.subscriptions import Subscription
from weekbot.store.queue import LeasedQueue
from weekbot.store.rows import delivery_of

_REACHABLE = select(subscriptions.c.id).join(guilds).where(guilds.c.left_at.is_(None))
_POSTED = (
    (deliveries.c.state == State.SENT)
    & deliveries.c.message_id.is_not(None)
    & deliveries.c.subscription_id.in_(_REACHABLE)
)


@dataclass(frozen=True)
class PostCounts:
    """The number of posts that show a current version, of outdated ones, and of those that wait to be edited."""

    current: int
    outdated: int
    waiting: int


class Republication(LeasedQueue[Delivery]):
    def __init__(self, database: Database) -> None:
        super().__init__(
            database,
            deliveries,
            deliveries.c.correct_at.is_not(None),
            _post,
            finished={"correct_at": None},
            order=[deliveries.c.correct_at, deliveries.c.id],
            due="correct_at",
            attempts="edit_attempts",
        )

    async def posted_topics(self) -> set[str]:
        """The names of all topics that were ever posted."""
        async with self._database.read() as connection:
            return set(await connection.scalars(select(deliveries.c.topic).where(_POSTED).distinct()))

    async def count(self, names: Collection[str], versions: Collection[str]) -> PostCounts:
        """Count the posts of a topic, which may have had several names; `versions` are the current ones."""
        outdated = _is_outdated(versions)
        query = select(
            func.count().filter(~outdated).label("current"),
            func.count().filter(outdated).label("outdated"),
            func.count().filter(deliveries.c.correct_at.is_not(None)).label("waiting"),
        ).where(_POSTED, deliveries.c.topic.in_(names))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one()
        return PostCounts(current=row.current, outdated=row.outdated, waiting=row.waiting)

    async def enqueue_outdated(self, names: Collection[str], versions: Collection[str], now: datetime) -> int:
        """Have the outdated posts edited from now on; return their number."""
        outdated = _POSTED & deliveries.c.topic.in_(names) & _is_outdated(versions)
        async with self._database.write() as connection:
            marked = update(deliveries).where(outdated).values(correct_at=now, edit_attempts=None, reason=None)
            return (await connection.execute(marked)).rowcount

    async def record_edit(self, delivery: Delivery, version: str) -> None:
        """Record that the post, in the delivery's form, shows this version now, or is gone for good."""
        await self.finish(delivery, version=version, form=delivery.form, edit_attempts=None)


def _is_outdated(versions: Collection[str]) -> ColumnElement[bool]:
    """A post without a recorded version, such as one found in the history, may show any version."""
    return deliveries.c.version.is_(None) | deliveries.c.version.not_in(versions)


def _post(row: Row[Any], subscription: Subscription) -> Delivery:
    return replace(delivery_of(row, subscription), edit_attempts=(row.edit_attempts or 0) + 1)
