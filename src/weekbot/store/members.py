"""Members' progress: topics finished and quizzes answered."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.group_commit import GroupCommit
from weekbot.db.tables import guilds, progress
from weekbot.db.upsert import Insert, insert_into
from weekbot.domain.progress import UTC_ZONE, IsSameTopic, Progress, RecordedProgress
from weekbot.domain.schedule import week_of
from weekbot.domain.unreadable_options import zone_named
from weekbot.runtime.errors import WeekbotError
from weekbot.store.repository import Repository

PRESS_LIFETIME = timedelta(minutes=15)  # a press can't be answered later, so it isn't recorded later
_FIRST = ("finished_at", "finished_week", "quiz_right", "quiz_at")  # columns that keep their first value


@dataclass(frozen=True)
class _Press:
    new: Progress
    is_same: IsSameTopic
    guild_id: int | None
    at: datetime | None


class ForgottenError(WeekbotError):
    """You deleted all data stored about you after you pressed this, so it isn't recorded. Press it once more."""


class Members(Repository):
    """`linger` is the time that a press may wait, so that presses close together share a transaction."""

    def __init__(self, database: Database, linger: timedelta = timedelta()) -> None:
        super().__init__(database)
        self._commits = GroupCommit(database, self._record, linger)
        self._forgotten: dict[int, datetime] = {}

    async def of(self, member_id: int) -> list[Progress]:
        """Return the member's rows, oldest first."""
        query = select(progress).where(progress.c.member_id == member_id)
        return _in_order(Progress(**row._asdict()) for row in await self._rows(query))

    async def add(
        self,
        new: Progress,
        is_same: IsSameTopic | None = None,
        guild_id: int | None = None,
        pressed_at: datetime | None = None,
    ) -> RecordedProgress:
        """Record what was finished or answered; the first time counts.

        Without `is_same` the topic never had another name; without a server, weeks are in UTC. `pressed_at` is by
        Discord's clock, like the time of deletions. Raises ForgottenError if the member has deleted everything since.
        """
        is_same = is_same or (lambda name: name == new.topic)
        recorded = await self._commits.put(_Press(new, is_same, guild_id, pressed_at))
        if recorded is None:
            raise ForgottenError
        return recorded

    async def take_back(self, member_id: int, topic: str) -> None:
        """Mark the topic as unfinished; the result of its quiz stays."""
        this = (progress.c.member_id == member_id) & (progress.c.topic == topic)
        async with self._database.write() as connection:
            await connection.execute(progress.update().where(this).values(finished_at=None, finished_week=None))
            await connection.execute(delete(progress).where(this, progress.c.quiz_at.is_(None)))

    async def forget(self, member_id: int, confirmed_at: datetime) -> int:
        """Delete the member's rows, and return their number. Earlier presses that still wait won't be recorded."""
        recent = {id_: at for id_, at in self._forgotten.items() if confirmed_at - at < PRESS_LIFETIME}
        self._forgotten = recent | {member_id: confirmed_at}
        await self._database.drain()
        return await self._execute(delete(progress).where(progress.c.member_id == member_id))

    async def _record(self, connection: AsyncConnection, presses: Sequence[_Press]) -> list[RecordedProgress | None]:
        """Record the presses; None for those that were made before the member deleted everything."""
        counts = [not self._is_forgotten(press) for press in presses]
        recorded = iter(await _record(connection, [press for press, does in zip(presses, counts, strict=True) if does]))
        return [next(recorded) if does else None for does in counts]

    def _is_forgotten(self, press: _Press) -> bool:
        forgotten_at = self._forgotten.get(press.new.member_id)
        return bool(press.at and forgotten_at and press.at <= forgotten_at)


def _in_order(rows: Iterable[Progress]) -> list[Progress]:
    return sorted(rows, key=lambda each: str(each.finished_at or each.quiz_at))


async def _record(connection: AsyncConnection, presses: Sequence[_Press]) -> list[RecordedProgress]:
    """Record the presses in three statements, because a whole server may press at once."""
    rows = await _of_members(connection, {press.new.member_id for press in presses})
    zones = await _zones(connection, {press.guild_id for press in presses if press.guild_id})
    results = [_apply(rows[press.new.member_id], press, zones.get(press.guild_id or 0, UTC_ZONE)) for press in presses]
    if changed := [asdict(result.row) for result in results if result.new]:
        # In one order, so that two processes can't wait for each other.
        changed.sort(key=lambda row: (row["member_id"], row["topic"]))
        await connection.execute(_keep_first(connection), changed)
    return results


async def _of_members(connection: AsyncConnection, member_ids: set[int]) -> dict[int, dict[str, Progress]]:
    """Return the rows by member and topic, and lock them for this transaction."""
    rows: dict[int, dict[str, Progress]] = {member_id: {} for member_id in member_ids}
    query = select(progress).where(progress.c.member_id.in_(member_ids)).order_by(*progress.primary_key)
    for row in await connection.execute(query.with_for_update()):
        rows[row.member_id][row.topic] = Progress(**row._asdict())
    return rows


async def _zones(connection: AsyncConnection, guild_ids: set[int]) -> dict[int, ZoneInfo]:
    """Return the servers' time zones, without unreadable ones."""
    query = select(guilds.c.guild_id, guilds.c.timezone).where(guilds.c.guild_id.in_(guild_ids))
    rows = await connection.execute(query)
    return {row.guild_id: zone for row in rows if (zone := zone_named(row.timezone))}


def _apply(rows: dict[str, Progress], press: _Press, zone: ZoneInfo) -> RecordedProgress:
    """Apply the press to the member's rows, by topic."""
    name = next(filter(press.is_same, rows), press.new.topic)
    before = rows.get(name, Progress(press.new.member_id, name))
    values = {field: getattr(press.new, field) for field in _FIRST if getattr(before, field) is None}
    added = {field: value for field, value in values.items() if value is not None}
    if finished_at := added.get("finished_at"):
        added["finished_week"] = week_of(finished_at, zone)
    rows[name] = row = replace(before, **added)
    return RecordedProgress(_in_order(rows.values()), row, bool(added), zone)


def _keep_first(connection: AsyncConnection) -> Insert:
    insertion = insert_into(connection, progress)
    kept = {name: func.coalesce(progress.c[name], insertion.excluded[name]) for name in _FIRST}
    return insertion.on_conflict_do_update(index_elements=list(progress.primary_key), set_=kept)
