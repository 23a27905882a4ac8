"""The attempts at a delivery, each with its outcome.

The one that is being made, or that sent the post, stands in the delivery itself, so that a post which goes well writes
no row here; the others are rows of their own, added when they end or the next one begins.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import attempts
from weekbot.db.upsert import insert_into
from weekbot.domain.deliveries import Attempt, Delivery, Outcome, State


async def leave(connection: AsyncConnection, found: Iterable[Delivery]) -> None:
    """Keep the attempts that have not ended, as the next ones begin."""
    rows = [_row(delivery) for delivery in found if delivery.attempt_at]
    if rows:
        await connection.execute(insert(attempts), rows)


async def end(
    connection: AsyncConnection, delivery: Delivery, at: datetime, outcome: Outcome, reason: str | None
) -> None:
    """Keep how the delivery's attempt ended; it must be taken out of the delivery in the same transaction."""
    if delivery.attempt_at is None:
        return
    ended = {"ended_at": at, "outcome": outcome, "reason": reason}
    new = insert_into(connection, attempts).values(_row(delivery) | ended)
    # A row is there already where the next attempt began before this one ended.
    await connection.execute(new.on_conflict_do_update(index_elements=["delivery_id", "number"], set_=ended))


def _row(delivery: Delivery) -> dict[str, Any]:
    return {"delivery_id": delivery.id, "number": delivery.attempts, "began_at": delivery.attempt_at}


async def attempts_at(connection: AsyncConnection, found: Collection[Delivery]) -> dict[str, list[Attempt]]:
    """By the delivery's id, all attempts that are on record, the first one first."""
    kept: dict[str, list[Attempt]] = {delivery.id: [] for delivery in found}
    query = select(attempts).where(attempts.c.delivery_id.in_(kept)).order_by(attempts.c.number)
    for row in await connection.execute(query):
        kept[row.delivery_id].append(_attempt(row))
    for delivery in found:
        kept[delivery.id] += _in_delivery(delivery)
    return kept


def _attempt(row: Row[Any]) -> Attempt:
    outcome = Outcome(row.outcome) if row.outcome else None
    return Attempt(row.number, row.began_at, row.ended_at, outcome, row.reason)


def _in_delivery(delivery: Delivery) -> list[Attempt]:
    if delivery.attempt_at is None:
        return []
    end_ = (delivery.sent_at, Outcome.SENT) if delivery.state is State.SENT else (None, None)
    return [Attempt(delivery.attempts, delivery.attempt_at, *end_)]
