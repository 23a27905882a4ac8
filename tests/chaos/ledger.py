"""The bot's database, read while the bot uses it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, notices, steps, subscriptions
from weekbot.domain.steps import StepName

OPTIONS = ("track", "weekday", "at", "timezone", "ping_role_id", "thread", "pin", "publish", "start_topic")


@dataclass(frozen=True)
class Entry:
    """A delivery: its channel, slot, topic and outcome."""

    channel_id: int
    slot: datetime
    topic: str
    state: str
    message_id: int | None
    reason: str | None


@dataclass(frozen=True)
class Ledger:
    database: Database

    async def entries(self) -> list[Entry]:
        """Return all deliveries, the earliest slot first."""
        query = (
            select(subscriptions.c.channel_id, *(deliveries.c[name] for name in list(Entry.__annotations__)[1:]))
            .join_from(deliveries, subscriptions)
            .order_by(deliveries.c.slot, subscriptions.c.id)
        )
        async with self.database.read() as connection:
            return [Entry(*row) for row in await connection.execute(query)]

    async def is_settled(self, slot: datetime, *, including_duplicates: bool = False) -> bool:
        """Return whether every subscription has its delivery of the slot, and nothing is left to do.

        The search for duplicate posts is minutes after the other steps.
        """
        claimed = select(func.count()).select_from(deliveries).where(deliveries.c.slot == slot)
        pending = select(func.count()).select_from(deliveries).where(deliveries.c.state == "pending")
        undone = select(func.count()).select_from(steps).where(~steps.c.done)
        if not including_duplicates:
            undone = undone.where(steps.c.name != StepName.STRAYS)
        subscribed = select(func.count()).select_from(subscriptions)
        async with self.database.read() as connection:
            counts = [await connection.scalar(query) for query in (subscribed, claimed, pending, undone)]
        return counts == [counts[0], counts[0], 0, 0]

    async def has_sent_notices(self) -> bool:
        """Return whether no notice is pending."""
        async with self.database.read() as connection:
            return not await connection.scalar(select(func.count()).select_from(notices).where(~notices.c.done))

    async def options(self) -> dict[int, dict[str, Any]]:
        """Return the options of each channel."""
        return {channel_id: {name: row[name] for name in OPTIONS} for channel_id, row in (await self._rows()).items()}

    async def blocked(self) -> dict[int, str]:
        """Return the reason for each channel in which Discord refuses the posts."""
        return {channel_id: row["blocked"] for channel_id, row in (await self._rows()).items() if row["blocked"]}

    async def _rows(self) -> dict[int, dict[str, Any]]:
        async with self.database.read() as connection:
            rows = await connection.execute(select(subscriptions))
            return {row.channel_id: dict(row._mapping) for row in rows}
