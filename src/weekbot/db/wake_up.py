"""Wakes the process that sends, through PostgreSQL's notifications."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

WAKE_CHANNEL = "weekbot_hurry"
"""PostgreSQL's channel by which the process that sends is told of something to send."""


async def wake_leader(connection: AsyncConnection) -> None:
    """Tell the process that sends, when this transaction is committed, that there is something to send."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"NOTIFY {WAKE_CHANNEL}"))
