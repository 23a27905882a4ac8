"""The history of deliveries, for operators."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select, true

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, subscriptions
from weekbot.domain.deliveries import Attempt, Delivery, State
from weekbot.store.attempts import attempts_at
from weekbot.store.rows import delivery_of
from weekbot.store.subscriptions import with_subscriptions

PAGE_SIZE = 500


@dataclass(frozen=True)
class DeliveryFilter:
    """A server, a channel, the earliest slot and a state; None matches any."""

    guild_id: int | None = None
    channel_id: int | None = None
    since: datetime | None = None
    state: State | None = None

    def condition(self) -> ColumnElement[bool]:
        return and_(
            subscriptions.c.guild_id == self.guild_id if self.guild_id else true(),
            subscriptions.c.channel_id == self.channel_id if self.channel_id else true(),
            deliveries.c.slot >= self.since if self.since else true(),
            _is_in(self.state) if self.state else true(),
        )


def _is_in(state: State) -> ColumnElement[bool]:
    known = [each for each in State if each is not State.UNKNOWN]
    return deliveries.c.state.not_in(known) if state is State.UNKNOWN else deliveries.c.state == state


@dataclass(frozen=True)
class DeliveryRecord:
    """A delivery and its recorded attempts, first to last."""

    delivery: Delivery
    attempts: list[Attempt]


async def latest_deliveries(database: Database, which: DeliveryFilter, limit: int) -> AsyncIterator[DeliveryRecord]:
    """Yield up to `limit` deliveries, the latest slot first. Raises DatabaseUnusableError.

    They are read in pages, so that no transaction is open while the caller uses them.
    """
    last: Delivery | None = None
    while limit > 0:
        size = min(limit, PAGE_SIZE)
        page = await _page(database, which.condition() & _after(last), size)
        for record in page:
            yield record
        if len(page) < size:
            return
        last, limit = page[-1].delivery, limit - size


def _after(last: Delivery | None) -> ColumnElement[bool]:
    if last is None:
        return true()
    same = (deliveries.c.slot == last.slot) & (deliveries.c.id < last.id)
    return (deliveries.c.slot < last.slot) | same


async def _page(database: Database, which: ColumnElement[bool], limit: int) -> list[DeliveryRecord]:
    query = select(deliveries).join(subscriptions).where(which)
    latest = query.order_by(deliveries.c.slot.desc(), deliveries.c.id.desc()).limit(limit)
    with database.explain_errors():
        async with database.read() as connection:
            found = await with_subscriptions(connection, latest, delivery_of)
            attempts = await attempts_at(connection, found)
    return [DeliveryRecord(delivery, attempts[delivery.id]) for delivery in found]
