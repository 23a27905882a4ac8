"""Wakes the leader, through PostgreSQL's notifications."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

WAKE_CHANNEL = "weekbot_hurry"


async def wake_leader(connection: AsyncConnection) -> None:
    """Notify the leader, once this transaction is committed, that there is something to send."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"NOTIFY {WAKE_CHANNEL}"))
