"""What is kept about members: topics finished and quizzes answered, and only of those who pressed something."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.group_commit import GroupCommit
from weekbot.db.tables import guilds, progress
from weekbot.db.upsert import Insert, insert_into
from weekbot.domain.progress import UTC_ZONE, IsIt, Kept, Progress
from weekbot.domain.schedule import week_of
from weekbot.domain.unreadable_options import zone_named
from weekbot.runtime.errors import WeekbotError

LONGEST_WAY = timedelta(minutes=15)  # from a press to the database: it can't be answered later than that
_FIRST = ("finished_at", "finished_week", "quiz_right", "quiz_at")  # columns that keep their first value


@dataclass(frozen=True)
class _Press:
    news: Progress
    is_it: IsIt
    guild_id: int | None
    at: datetime | None


class ForgottenError(WeekbotError):
    """You deleted all data stored about you after you pressed this, so it isn't recorded. Press it once more."""


class Members:
    """`linger` is how long a press may wait to be recorded together with others: many may come at once."""

    def __init__(self, database: Database, linger: timedelta = timedelta()) -> None:
        self._database = database
        self._recording = GroupCommit(database, self._record, linger)
        self._forgotten: dict[int, datetime] = {}

    async def of(self, member_id: int) -> list[Progress]:
        """All that is kept about the member, the oldest first."""
        query = select(progress).where(progress.c.member_id == member_id)
        async with self._database.read() as connection:
            return _in_order(Progress(**row._asdict()) for row in await connection.execute(query))

    async def add(
        self,
        news: Progress,
        is_it: IsIt | None = None,
        guild_id: int | None = None,
        pressed_at: datetime | None = None,
    ) -> Kept:
        """Record what was finished or answered, unless it was before: the first time counts.

        Returns what is kept afterwards. Without `is_it` the topic never had another name; without a server, weeks are
        in UTC. `pressed_at` is in Discord's time, like the time of deletions. Raises ForgottenError if the member has
        deleted everything since.
        """
        is_it = is_it or (lambda name: name == news.topic)
        kept = await self._recording.put(_Press(news, is_it, guild_id, pressed_at))
        if kept is None:
            raise ForgottenError
        return kept

    async def take_back(self, member_id: int, topic: str) -> None:
        """The member has not finished the topic after all; what became of its quiz stays."""
        this = (progress.c.member_id == member_id) & (progress.c.topic == topic)
        async with self._database.write() as connection:
            await connection.execute(progress.update().where(this).values(finished_at=None, finished_week=None))
            await connection.execute(delete(progress).where(this, progress.c.quiz_at.is_(None)))

    async def forget(self, member_id: int, confirmed_at: datetime) -> int:
        """Delete all that is kept about the member. Returns the number of topics.

        Earlier presses that are still on their way to the database won't be recorded.
        """
        recent = {id_: at for id_, at in self._forgotten.items() if confirmed_at - at < LONGEST_WAY}
        self._forgotten = recent | {member_id: confirmed_at}
        await self._recording.settle()
        async with self._database.write() as connection:
            return (await connection.execute(delete(progress).where(progress.c.member_id == member_id))).rowcount

    async def _record(self, connection: AsyncConnection, presses: Sequence[_Press]) -> list[Kept | None]:
        """Record the presses; None for those that were made before the member deleted everything."""
        counts = [not self._is_forgotten(press) for press in presses]
        kept = iter(await _record(connection, [press for press, does in zip(presses, counts, strict=True) if does]))
        return [next(kept) if does else None for does in counts]

    def _is_forgotten(self, press: _Press) -> bool:
        forgotten_at = self._forgotten.get(press.news.member_id)
        return bool(press.at and forgotten_at and press.at <= forgotten_at)


def _in_order(rows: Iterable[Progress]) -> list[Progress]:
    return sorted(rows, key=lambda each: str(each.finished_at or each.quiz_at))


async def _record(connection: AsyncConnection, presses: Sequence[_Press]) -> list[Kept]:
    """In one visit to the database, however many members there are: a whole server may press at once."""
    kept = await _of_members(connection, {press.news.member_id for press in presses})
    zones = await _zones(connection, {press.guild_id for press in presses if press.guild_id})
    results = [
        _pressed(kept[press.news.member_id], press, zones.get(press.guild_id or 0, UTC_ZONE)) for press in presses
    ]
    if changed := [asdict(result.row) for result in results if result.new]:
        # In one order, so that two processes which record the same members wait for each other, and never both.
        await connection.execute(_first_counts(connection), sorted(changed, key=_key))
    return results


async def _of_members(connection: AsyncConnection, member_ids: set[int]) -> dict[int, dict[str, Progress]]:
    """By member and topic."""
    kept: dict[int, dict[str, Progress]] = {member_id: {} for member_id in member_ids}
    query = select(progress).where(progress.c.member_id.in_(member_ids)).order_by(*progress.primary_key)
    for row in await connection.execute(query.with_for_update()):
        kept[row.member_id][row.topic] = Progress(**row._asdict())
    return kept


async def _zones(connection: AsyncConnection, guild_ids: set[int]) -> dict[int, ZoneInfo]:
    """The servers' time zones, without those that are unset or invalid."""
    query = select(guilds.c.guild_id, guilds.c.timezone).where(guilds.c.guild_id.in_(guild_ids))
    chosen = {row.guild_id: zone_named(row.timezone) for row in await connection.execute(query)}
    return {guild_id: zone for guild_id, zone in chosen.items() if zone}


def _pressed(rows: dict[str, Progress], press: _Press, zone: ZoneInfo) -> Kept:
    """What the member's rows, by topic, become by the press."""
    name = next(filter(press.is_it, rows), press.news.topic)
    before = rows.get(name, Progress(press.news.member_id, name))
    added = {field: value for field, value in _said(press.news).items() if getattr(before, field) is None}
    if finished_at := added.get("finished_at"):
        added["finished_week"] = week_of(finished_at, zone)
    rows[name] = row = replace(before, **added)
    return Kept(_in_order(rows.values()), row, bool(added), zone)


def _said(news: Progress) -> dict[str, Any]:
    values = {field: getattr(news, field) for field in _FIRST}
    return {field: value for field, value in values.items() if value is not None}


def _key(row: dict[str, Any]) -> tuple[int, str]:
    return row["member_id"], row["topic"]


def _first_counts(connection: AsyncConnection) -> Insert:
    new = insert_into(connection, progress)
    kept = {name: func.coalesce(progress.c[name], new.excluded[name]) for name in _FIRST}
    return new.on_conflict_do_update(index_elements=list(progress.primary_key), set_=kept)
