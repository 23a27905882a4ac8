"""The copies of a topic that stand in channels, and which of them are to be corrected."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select, update

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, guilds, subscriptions
from weekbot.domain.deliveries import Delivery, State
from weekbot.store.queue import TAKEN
from weekbot.store.rows import delivery_of
from weekbot.store.subscriptions import with_subscriptions


@dataclass(frozen=True)
class Count:
    """How many copies show one of the versions, how many another, and how many of those wait for their correction."""

    current: int
    outdated: int
    waiting: int


class Republication:
    """A copy is a delivery that was sent, in a server that the bot is still in; it knows the version that it shows."""

    def __init__(self, database: Database) -> None:
        self._database = database

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

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> list[Delivery]:
        """Republication that are to be corrected now, each held until `now + lease`; its attempts count this one."""
        query = (
            select(deliveries)
            .where(deliveries.c.correct_at <= now)
            .order_by(deliveries.c.correct_at, deliveries.c.id)
            .limit(limit)
            .with_for_update(**TAKEN)
        )
        async with self._database.write() as connection:
            found = await with_subscriptions(connection, (await connection.execute(query)).all(), delivery_of)
            these = deliveries.c.id.in_([delivery.id for delivery in found])
            tried = func.coalesce(deliveries.c.edit_attempts, 0) + 1
            await connection.execute(
                update(deliveries).where(these).values(correct_at=now + lease, edit_attempts=tried)
            )
        return [replace(delivery, edit_attempts=(delivery.edit_attempts or 0) + 1) for delivery in found]

    async def next_at(self) -> datetime | None:
        """When the next copy is to be corrected."""
        async with self._database.read() as connection:
            earliest: datetime | None = await connection.scalar(
                select(func.min(deliveries.c.correct_at)).where(deliveries.c.correct_at.is_not(None))
            )
            return earliest

    async def corrected(self, delivery: Delivery, version: str) -> None:
        """The copy, whose form is the delivery's, shows this version now, or is gone for good."""
        await self._update(delivery, version=version, form=delivery.form, correct_at=None, edit_attempts=None)

    async def retry(self, delivery: Delivery, at: datetime) -> None:
        await self._update(delivery, correct_at=at)

    async def give_up(self, delivery: Delivery, reason: str | None = None) -> None:
        """Leave the copy as it is. The status shows the reason, if there is one."""
        await self._update(delivery, correct_at=None, reason=reason)

    async def _update(self, delivery: Delivery, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(deliveries).where(deliveries.c.id == delivery.id).values(**values))


_REACHABLE = select(subscriptions.c.id).join(guilds).where(guilds.c.left_at.is_(None))
_POSTED = (
    (deliveries.c.state == State.SENT)
    & deliveries.c.message_id.is_not(None)
    & deliveries.c.subscription_id.in_(_REACHABLE)
)


def _outdated(versions: Collection[str]) -> ColumnElement[bool]:
    """What was posted before versions were recorded, or found in the history, may show any."""
    return deliveries.c.version.is_(None) | deliveries.c.version.not_in(versions)
