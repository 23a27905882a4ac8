"""What became of deliveries, as an operator asks for it, also beside a bot that runs."""

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

A_PAGE = 500


@dataclass(frozen=True)
class Which:
    """Which deliveries: of a server, of a channel, with a slot at that instant or later, in a state. None is any."""

    guild_id: int | None = None
    channel_id: int | None = None
    since: datetime | None = None
    state: State | None = None

    def condition(self) -> ColumnElement[bool]:
        asked = [
            subscriptions.c.guild_id == self.guild_id if self.guild_id else None,
            subscriptions.c.channel_id == self.channel_id if self.channel_id else None,
            deliveries.c.slot >= self.since if self.since else None,
            _is_in(self.state) if self.state else None,
        ]
        return and_(true(), *(each for each in asked if each is not None))


def _is_in(state: State) -> ColumnElement[bool]:
    known = [each for each in State if each is not State.UNKNOWN]
    return deliveries.c.state.not_in(known) if state is State.UNKNOWN else deliveries.c.state == state


@dataclass(frozen=True)
class Entry:
    """A delivery and its attempts that are on record, the first one first."""

    delivery: Delivery
    attempts: list[Attempt]


async def newest(database: Database, which: Which, limit: int) -> AsyncIterator[Entry]:
    """At most so many, the latest slot first. Raises DatabaseUnusableError.

    They are read a page at a time: no transaction is open while what was read is looked at.
    """
    last: Delivery | None = None
    while limit > 0:
        wanted = min(limit, A_PAGE)
        page = await _page(database, which.condition() & _after(last), wanted)
        for entry in page:
            yield entry
        if len(page) < wanted:
            return
        last, limit = page[-1].delivery, limit - wanted


def _after(last: Delivery | None) -> ColumnElement[bool]:
    if last is None:
        return true()
    same = (deliveries.c.slot == last.slot) & (deliveries.c.id < last.id)
    return (deliveries.c.slot < last.slot) | same


async def _page(database: Database, which: ColumnElement[bool], limit: int) -> list[Entry]:
    query = select(deliveries).join(subscriptions).where(which)
    newest_first = query.order_by(deliveries.c.slot.desc(), deliveries.c.id.desc()).limit(limit)
    with database.used():
        async with database.read() as connection:
            found = await with_subscriptions(connection, newest_first, delivery_of)
            made = await attempts_at(connection, found)
    return [Entry(delivery, made[delivery.id]) for delivery in found]
