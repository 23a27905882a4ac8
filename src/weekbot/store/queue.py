"""The leased queue: rows of a table that wait for an attempt, whatever their kind of work."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, Table, and_, bindparam, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import UtcDateTime
from weekbot.domain.subscriptions import Subscription
from weekbot.store.repository import Repository
from weekbot.store.rows import CLAIMING
from weekbot.store.subscriptions import with_subscriptions

J = TypeVar("J")


class LeasedQueue(Repository, Generic[J]):
    """A claimed row is leased: if the end of its attempt is never recorded, it is due again after the lease.

    `_query` selects jobs, in their order. The column `_due` has the instant of the next attempt, and `_attempts` their
    number. Only the latest attempt can record its end. `_finished` are the values of a row that needs no more attempts.
    """

    _table: Table
    _query: Select[Any]
    _is_open: ColumnElement[bool]
    _finished: Mapping[str, Any] = {}
    _due = "retry_at"
    _attempts = "attempts"

    def _job(self, row: Row[Any], subscription: Subscription) -> J:
        raise NotImplementedError

    def _key(self, job: J) -> dict[str, Any]:
        """Return the primary key of the job's row."""
        return {"id": job.id}  # type: ignore[attr-defined]

    def _begun(self, _: datetime, /) -> dict[str, Any]:
        """Return further values of a row whose attempt begins at that instant."""
        return {}

    async def claim(
        self, now: datetime, lease: timedelta, limit: int, where: ColumnElement[bool] | None = None
    ) -> list[J]:
        """The jobs that are due, longest waiting first, each leased until `now + lease`.

        Their number of attempts includes the one that begins. If nothing is due, nothing is written.
        """
        is_due = self._table.c[self._due] <= now
        query = self._query.where(self._is_open, is_due, true() if where is None else where)
        if not await self._rows(query.limit(1)):
            return []
        async with self._database.write() as connection:
            locked = query.limit(limit).with_for_update(of=self._table, **CLAIMING)
            jobs = self._choose(await with_subscriptions(connection, locked, self._job))
            return await self._lease(connection, jobs, now, lease) if jobs else []

    async def next_at(self, where: ColumnElement[bool] | None = None) -> datetime | None:
        earliest: Select[datetime | None] = select(func.min(self._table.c[self._due]))
        (found,) = await self._values(earliest.where(self._is_open, true() if where is None else where))
        return found

    async def retry(self, job: J, at: datetime, **values: Any) -> bool:
        """Schedule the next attempt; False if another one has already begun."""
        async with self._database.write() as connection:
            return await self._record(connection, job, {self._due: at, **values})

    async def finish(self, job: J, **values: Any) -> bool:
        """Make no more attempts; False if another one has already begun."""
        async with self._database.write() as connection:
            return await self._record(connection, job, {**self._finished, **values})

    def _choose(self, jobs: list[J]) -> list[J]:
        return jobs

    async def _lease(self, connection: AsyncConnection, jobs: list[J], now: datetime, lease: timedelta) -> list[J]:
        attempts = func.coalesce(self._table.c[self._attempts], 0) + 1
        values = {self._attempts: attempts, self._due: now + lease, **self._begun(now)}
        keys = [self._key(job) for job in jobs]
        same = [self._table.c[name] == bindparam(f"_{name}") for name in keys[0]]
        rows = [{f"_{name}": value for name, value in key.items()} for key in keys]
        await connection.execute(update(self._table).where(*same).values(values), rows)
        return jobs

    async def _record(self, connection: AsyncConnection, job: J, values: Mapping[str, Any]) -> bool:
        """Change the row; False if another attempt has begun."""
        return bool((await connection.execute(update(self._table).where(self._is_held(job)).values(**values))).rowcount)

    def _is_held(self, job: J) -> ColumnElement[bool]:
        """The condition that the job's row is open and no later attempt has begun."""
        held = {self._attempts: getattr(job, self._attempts), **self._key(job)}
        return and_(self._is_open, *(self._table.c[name] == value for name, value in held.items()))


def first_attempt(table: Table, now: datetime) -> dict[str, Any]:
    """The value that keeps the instant of a row's first attempt."""
    return {"first_attempt_at": func.coalesce(table.c.first_attempt_at, bindparam("_now", now, UtcDateTime))}
