"""What is kept about members: topics finished and quizzes answered, and only of those who pressed something."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.store.database import Database
from weekbot.store.group_commit import GroupCommit
from weekbot.store.tables import progress


@dataclass(frozen=True)
class Progress:
    """A member's topic: when it was finished, and when and how its quiz was first answered; None where not yet."""

    member_id: int
    topic: str
    finished_at: datetime | None = None
    quiz_right: bool | None = None
    quiz_at: datetime | None = None


class Members:
    """`linger` is how long a press may wait to be recorded together with others: many may come at once."""

    def __init__(self, database: Database, linger: timedelta = timedelta()) -> None:
        self._database = database
        self._recording = GroupCommit(database, _record, linger)

    async def of(self, member_id: int) -> list[Progress]:
        """All that is kept about the member, the oldest first."""
        query = select(progress).where(progress.c.member_id == member_id)
        async with self._database.read() as connection:
            found = [Progress(**row._asdict()) for row in await connection.execute(query)]
        return sorted(found, key=lambda each: str(each.finished_at or each.quiz_at))

    async def add(self, news: Progress) -> None:
        """Record what was finished or answered, unless it was before: the first time counts."""
        await self._recording.put(news)

    async def take_back(self, member_id: int, topic: str) -> None:
        """The member has not finished the topic after all; what became of its quiz stays."""
        this = (progress.c.member_id == member_id) & (progress.c.topic == topic)
        async with self._database.write() as connection:
            await connection.execute(progress.update().where(this).values(finished_at=None))
            await connection.execute(delete(progress).where(this, progress.c.quiz_at.is_(None)))

    async def forget(self, member_id: int) -> int:
        """Delete all that is kept about the member; how many topics that were."""
        async with self._database.write() as connection:
            return (await connection.execute(delete(progress).where(progress.c.member_id == member_id))).rowcount


async def _record(connection: AsyncConnection, news: Sequence[Progress]) -> None:
    new = insert(progress)
    kept = {
        name: func.coalesce(progress.c[name], new.excluded[name]) for name in ("finished_at", "quiz_right", "quiz_at")
    }
    statement = new.on_conflict_do_update(index_elements=["member_id", "topic"], set_=kept)
    rows: list[dict[str, Any]] = [asdict(each) for each in news]
    await connection.execute(statement, rows)
