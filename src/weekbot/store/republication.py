"""The copies of a topic that stand in channels, and which of them are to be corrected."""

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


@dataclass(frozen=True)
class Count:
    """How many copies show one of the versions, how many another, and how many of those wait for their correction."""

    current: int
    outdated: int
    waiting: int


class Republication(LeasedQueue[Delivery]):
    """The queue of posted copies to edit. A copy is a delivery that was sent, in a server that the bot is still in."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            database,
            deliveries,
            deliveries.c.correct_at.is_not(None),
            _copy,
            finished={"correct_at": None},
            order=[deliveries.c.correct_at, deliveries.c.id],
            due="correct_at",
            attempts="edit_attempts",
        )

    async def topics(self) -> set[str]:
        """The names of all topics that were ever posted."""
        async with self._database.read() as connection:
            return set(await connection.scalars(select(deliveries.c.topic).where(_POSTED).distinct()))

    async def count(self, topics: Collection[str], versions: Collection[str]) -> Count:
        """Republication of a topic, which may have been posted under several names."""
        outdated = _outdated(versions)
        query = select(
            func.count().filter(~outdated).label("current"),
            func.count().filter(outdated).label("outdated"),
            func.count().filter(deliveries.c.correct_at.is_not(None)).label("waiting"),
        ).where(_POSTED, deliveries.c.topic.in_(topics))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one()
        return Count(current=row.current, outdated=row.outdated, waiting=row.waiting)

    async def mark(self, topics: Collection[str], versions: Collection[str], now: datetime) -> int:
        """Have the outdated copies corrected from now on; how many there are."""
        outdated = _POSTED & deliveries.c.topic.in_(topics) & _outdated(versions)
        async with self._database.write() as connection:
            marked = update(deliveries).where(outdated).values(correct_at=now, edit_attempts=None, reason=None)
            return (await connection.execute(marked)).rowcount

    async def edited(self, delivery: Delivery, version: str) -> None:
        """The copy, whose form is the delivery's, shows this version now, or is gone for good."""
        await self.finish(delivery, version=version, form=delivery.form, edit_attempts=None)

    async def give_up(self, delivery: Delivery, reason: str | None = None) -> None:
        """Leave the copy as it is. The status shows the reason, if there is one."""
        await self.finish(delivery, reason=reason)


_REACHABLE = select(subscriptions.c.id).join(guilds).where(guilds.c.left_at.is_(None))
_POSTED = (
    (deliveries.c.state == State.SENT)
    & deliveries.c.message_id.is_not(None)
    & deliveries.c.subscription_id.in_(_REACHABLE)
)


def _outdated(versions: Collection[str]) -> ColumnElement[bool]:
    """What was posted before versions were recorded, or found in the history, may show any."""
    return deliveries.c.version.is_(None) | deliveries.c.version.not_in(versions)


def _copy(row: Row[Any], subscription: Subscription) -> Delivery:
    return replace(delivery_of(row, subscription), edit_attempts=(row.edit_attempts or 0) + 1)
