"""The attempts at a delivery, each with its outcome.

The current attempt, or the one that sent the post, is part of the delivery's row, so a post that succeeds at once adds
no row here. Any other attempt gets a row when it ends or when the next one begins.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import attempts
from weekbot.db.upsert import insert_into
from weekbot.domain.deliveries import Attempt, Delivery, Outcome, State


async def record_unfinished(connection: AsyncConnection, deliveries: Iterable[Delivery]) -> None:
    """Keep the attempts without an outcome, because the next ones begin."""
    if rows := [_row(delivery) for delivery in deliveries if delivery.attempt_at]:
        await connection.execute(insert(attempts), rows)


async def record_outcome(
    connection: AsyncConnection, delivery: Delivery, at: datetime, outcome: Outcome, reason: str | None
) -> None:
    """Record how the current attempt ended; the same transaction must remove it from the delivery's row."""
    if delivery.attempt_at is None:
        return
    ended = {"ended_at": at, "outcome": outcome, "reason": reason}
    new = insert_into(connection, attempts).values(_row(delivery) | ended)
    # The row already exists if the next attempt began before this one ended.
    await connection.execute(new.on_conflict_do_update(index_elements=["delivery_id", "number"], set_=ended))


def _row(delivery: Delivery) -> dict[str, Any]:
    return {"delivery_id": delivery.id, "number": delivery.attempts, "began_at": delivery.attempt_at}


async def attempts_at(connection: AsyncConnection, deliveries: Collection[Delivery]) -> dict[str, list[Attempt]]:
    """All recorded attempts by delivery id, oldest first."""
    found: dict[str, list[Attempt]] = {delivery.id: [] for delivery in deliveries}
    query = select(attempts).where(attempts.c.delivery_id.in_(found)).order_by(attempts.c.number)
    for row in await connection.execute(query):
        outcome = Outcome(row.outcome) if row.outcome else None
        found[row.delivery_id].append(Attempt(row.number, row.began_at, row.ended_at, outcome, row.reason))
    for delivery in deliveries:
        if delivery.attempt_at:
            ended = (delivery.sent_at, Outcome.SENT) if delivery.state is State.SENT else (None, None)
            found[delivery.id].append(Attempt(delivery.attempts, delivery.attempt_at, *ended))
    return found
