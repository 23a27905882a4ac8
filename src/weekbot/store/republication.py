"""The posts of a topic, and the queue of those to edit because they show an outdated version."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, update

from weekbot.db.tables import deliveries, guilds, subscriptions
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.subscriptions import Subscription
from weekbot.store.queue import LeasedQueue
from weekbot.store.rows import delivery_of

_REACHABLE = select(subscriptions.c.id).join(guilds).where(guilds.c.left_at.is_(None))
_HAS_MESSAGE = (deliveries.c.state == State.SENT) & deliveries.c.message_id.is_not(None)
_POSTED = _HAS_MESSAGE & deliveries.c.subscription_id.in_(_REACHABLE)


@dataclass(frozen=True)
class PostCounts:
    """The number of posts that show a current version, of outdated ones, and of those that wait to be edited."""

    current: int
    outdated: int
    waiting: int


class Republication(LeasedQueue[Delivery]):
    _table, _due, _attempts = deliveries, "correct_at", "edit_attempts"
    _query = select(deliveries).order_by(deliveries.c.correct_at, deliveries.c.id)
    _is_open = deliveries.c.correct_at.is_not(None)
    _finished = {"correct_at": None}

    def _job(self, row: Row[Any], subscription: Subscription) -> Delivery:
        return replace(delivery_of(row, subscription), edit_attempts=(row.edit_attempts or 0) + 1)

    async def posted_topics(self) -> set[str]:
        return set(await self._values(select(deliveries.c.topic).where(_POSTED).distinct()))

    async def count(self, names: Collection[str], versions: Collection[str]) -> PostCounts:
        """Count the posts of a topic, which may have had several names; `versions` are the current ones."""
        outdated = _is_outdated(versions)
        numbers = [func.count().filter(each) for each in (~outdated, outdated, self._is_open)]
        (counts,) = await self._rows(select(*numbers).where(_POSTED, deliveries.c.topic.in_(names)))
        return PostCounts(*counts)

    async def enqueue_outdated(self, names: Collection[str], versions: Collection[str], now: datetime) -> int:
        """Have the outdated posts edited from now on; return their number."""
        outdated = _POSTED & deliveries.c.topic.in_(names) & _is_outdated(versions)
        marked = {"correct_at": now, "edit_attempts": None, "reason": None}
        return await self._execute(update(deliveries).where(outdated).values(marked))

    async def record_edit(self, delivery: Delivery, version: str) -> None:
        """Record that the post, in the delivery's form, shows this version now, or is gone for good."""
        await self.finish(delivery, version=version, form=delivery.form, edit_attempts=None)


def _is_outdated(versions: Collection[str]) -> ColumnElement[bool]:
    """A post without a recorded version, such as one found in the history, may show any version."""
    return deliveries.c.version.is_(None) | deliveries.c.version.not_in(versions)
