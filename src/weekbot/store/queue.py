"""The leased queue: rows of a table that wait for an attempt, whatever their kind of work."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, Table, bindparam, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.tables import UtcDateTime
from weekbot.domain.subscriptions import Subscription
from weekbot.store.locks import CLAIMING
from weekbot.store.subscriptions import with_subscriptions

J = TypeVar("J")


class LeasedQueue(Generic[J]):
    """A claimed row is leased: if the end of its attempt is never recorded, it is due again after the lease.

    The column `due` has the instant of the next attempt, and `attempts` their number. Only the latest attempt can
    record its end. `begun` returns further values of a row whose attempt begins at the given instant; `finished` are
    the values of a row that needs no more attempts. `key` returns a job's primary key.
    """

    def __init__(
        self,
        database: Database,
        table: Table,
        is_open: ColumnElement[bool],
        job: Callable[[Row[Any], Subscription], J],
        *,
        finished: Mapping[str, Any] | None = None,
        query: Select[Any] | None = None,
        order: Sequence[ColumnElement[Any]] = (),
        key: Callable[[J], dict[str, Any]] = lambda job: {"id": job.id},  # type: ignore[attr-defined]
        due: str = "retry_at",
        attempts: str = "attempts",
        begun: Callable[[datetime], Mapping[str, Any]] = lambda _: {},
    ) -> None:
        self._database = database
        self._table = table
        self._is_open = is_open
        self._job = job
        self._finished = finished or {}
        self._due = table.c[due]
        self._attempts = table.c[attempts]
        self._query = (select(table) if query is None else query).order_by(*order or (self._due,))
        self._key = key
        self._begun = begun

    async def claim(
        self, now: datetime, lease: timedelta, limit: int, where: ColumnElement[bool] | None = None
    ) -> list[J]:
        """The jobs that are due, longest waiting first, each leased until `now + lease`.

        Their number of attempts includes the one that begins. If nothing is due, nothing is written.
        """
        query = self._query.where(self._is_open, self._due <= now, true() if where is None else where)
        async with self._database.read() as connection:
            if (await connection.execute(query.limit(1))).first() is None:
                return []
        async with self._database.write() as connection:
            locked = query.limit(limit).with_for_update(of=self._table, **CLAIMING)
            jobs = self._choose(await with_subscriptions(connection, locked, self._job))
            if jobs:
                await self._lease(connection, jobs, now, lease)
            return jobs

    async def next_at(self, where: ColumnElement[bool] | None = None) -> datetime | None:
        query = select(func.min(self._due)).where(self._is_open, true() if where is None else where)
        async with self._database.read() as connection:
            earliest: datetime | None = await connection.scalar(query)
            return earliest

    async def retry(self, job: J, at: datetime, **values: Any) -> bool:
        """Schedule the next attempt; False if another one has already begun."""
        async with self._database.write() as connection:
            return await self._record(connection, job, {self._due.name: at, **values})

    async def finish(self, job: J, **values: Any) -> bool:
        """Make no more attempts; False if another one has already begun."""
        async with self._database.write() as connection:
            return await self._record(connection, job, {**self._finished, **values})

    def _choose(self, jobs: list[J]) -> list[J]:
        return jobs

    async def _lease(self, connection: AsyncConnection, jobs: Sequence[J], now: datetime, lease: timedelta) -> None:
        counted = {self._attempts.name: func.coalesce(self._attempts, 0) + 1, self._due.name: now + lease}
        keys = [self._key(job) for job in jobs]
        same = [self._table.c[name] == bindparam(f"_{name}") for name in keys[0]]
        rows = [{f"_{name}": value for name, value in key.items()} for key in keys]
        await connection.execute(update(self._table).where(*same).values(counted | dict(self._begun(now))), rows)

    async def _record(self, connection: AsyncConnection, job: J, values: Mapping[str, Any]) -> bool:
        """Change the row; False if another attempt has begun."""
        return bool((await connection.execute(update(self._table).where(self._is_held(job)).values(**values))).rowcount)

    def _is_held(self, job: J) -> ColumnElement[bool]:
        """The condition that the job's row is open and no later attempt has begun."""
        held: ColumnElement[bool] = self._is_open & (self._attempts == getattr(job, self._attempts.name))
        for name, value in self._key(job).items():
            held &= self._table.c[name] == value
        return held


def first_attempt(table: Table, now: datetime) -> dict[str, Any]:
    """The value that keeps the instant of a row's first attempt."""
    return {"first_attempt_at": func.coalesce(table.c.first_attempt_at, bindparam("_now", now, UtcDateTime))}
