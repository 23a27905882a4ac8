"""Topics that Discord refused, by version and channel."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select

from weekbot.db.tables import refusals
from weekbot.db.upsert import insert_into
from weekbot.store.repository import Repository


@dataclass(frozen=True)
class Refusal:
    topic: str
    version: str
    channel_id: int
    reason: str
    refused_at: datetime


class Refusals(Repository):
    async def all(self) -> list[Refusal]:
        return [Refusal(*row) for row in await self._rows(select(refusals))]

    async def add(self, refusal: Refusal) -> None:
        """Store the refusal, unless the version's first one in the channel is stored already."""
        async with self._database.write() as connection:
            await connection.execute(insert_into(connection, refusals).values(asdict(refusal)).on_conflict_do_nothing())
