"""The backlog of posts, at a cost that doesn't grow with the number of subscriptions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, literal, select, true

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, subscriptions
from weekbot.domain.deliveries import State
from weekbot.store.metadata import Metadata

MEASURED_AT = "looked_at"
MAX_COUNTED = 100_000
ALL_SUBSCRIPTIONS = true()
OLDEST_AMONG = 1000  # deliveries that are never attempted come first by `retry_at`, so the others needn't be read


@dataclass(frozen=True)
class Backlog:
    """The numbers of `due` subscriptions and `pending` deliveries, up to `MAX_COUNTED`, and the earliest slot."""

    due: int
    pending: int
    oldest: datetime | None


async def measure(database: Database, now: datetime, which: ColumnElement[bool] = ALL_SUBSCRIPTIONS) -> Backlog:
    """Measure the backlog of the subscriptions that `which` selects.

    Raises DatabaseUnavailableError, also if the database can be read but not written: so this writes a row.
    """
    await Metadata(database).put(MEASURED_AT, now.isoformat())
    slot = subscriptions.c.next_slot
    due = subscriptions.c.active & ~subscriptions.c.paused & (slot <= now) & which
    async with database.read() as connection:
        queries = [each.limit(MAX_COUNTED).subquery() for each in (select(literal(1)).where(due), _PENDING)]
        due_count, pending = [await connection.scalar(select(func.count()).select_from(each)) or 0 for each in queries]
        oldest_due = select(slot).where(due).order_by(slot).limit(1)
        oldest = [await connection.scalar(query) for query in (oldest_due, _OLDEST_PENDING)]
    return Backlog(due_count, pending, min(filter(None, oldest), default=None))


_IS_PENDING = deliveries.c.state == State.PENDING
_PENDING = select(literal(1)).where(_IS_PENDING)
_first = select(deliveries.c.slot).where(_IS_PENDING).order_by(deliveries.c.retry_at).limit(OLDEST_AMONG).subquery()
_OLDEST_PENDING = select(func.min(_first.c.slot))
