"""What waits to be posted, looked at from outside: at a cost that does not grow with the number of subscriptions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, subscriptions
from weekbot.domain.deliveries import State
from weekbot.store.metadata import Metadata

LOOKED_AT = "looked_at"
MOST_COUNTED = 100_000
EVERY = true()
NEXT_IN_LINE = 1000  # what nobody attempts waits at the front of the line, so the others need not be looked at


@dataclass(frozen=True)
class Backlog:
    """`due` subscriptions are not taken up yet, `pending` deliveries are; both are counted to `MOST_COUNTED` only.

    `oldest` is the earliest slot among them, None where nothing waits.
    """

    due: int
    pending: int
    oldest: datetime | None


async def look(database: Database, now: datetime, which: ColumnElement[bool] = EVERY) -> Backlog:
    """Raises DatabaseUnavailableError, also where the database can be read and not written, or has no room left.

    That shows in nothing but a row that is written. `which` is the condition for subscriptions to be counted.
    """
    await Metadata(database).put(LOOKED_AT, now.isoformat())
    async with database.read() as connection:
        due, pending = [await _counted(connection, query) for query in (_due(now, which), _PENDING)]
        oldest = [await connection.scalar(query) for query in (_earliest(now, which), _IN_LINE)]
    return Backlog(due, pending, min(filter(None, oldest), default=None))


_PENDING = select(literal(1)).where(deliveries.c.state == State.PENDING)
_next_in_line = (
    select(deliveries.c.slot)
    .where(deliveries.c.state == State.PENDING)
    .order_by(deliveries.c.retry_at)
    .limit(NEXT_IN_LINE)
    .subquery()
)
_IN_LINE = select(func.min(_next_in_line.c.slot))


def _due(now: datetime, which: ColumnElement[bool]) -> Select[int]:
    return select(literal(1)).where(_is_due(now), which)


def _earliest(now: datetime, which: ColumnElement[bool]) -> Select[datetime]:
    slot = subscriptions.c.next_slot
    return select(slot).where(_is_due(now), which).order_by(slot).limit(1)


def _is_due(now: datetime) -> ColumnElement[bool]:
    return subscriptions.c.active & ~subscriptions.c.paused & (subscriptions.c.next_slot <= now)


async def _counted(connection: AsyncConnection, which: Select[int]) -> int:
    return await connection.scalar(select(func.count()).select_from(which.limit(MOST_COUNTED).subquery())) or 0
