"""Notices: what a server's moderators are told of a subscription, each once until it is over."""

import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.database import Database
from weekbot.db.tables import notices, subscriptions
from weekbot.db.upsert import insert_into
from weekbot.domain.notices import Checked, Notice, NoticeKind
from weekbot.domain.shards import ALL, Shards
from weekbot.domain.subscriptions import Subscription
from weekbot.store import subscriptions as subs
from weekbot.store.queue import TAKEN, held, next_retry, on_shards
from weekbot.store.rows import fields_of
from weekbot.store.subscriptions import LOCKED


class Notices:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, now: datetime, lease: timedelta, limit: int, shards: Shards = ALL) -> list[Notice]:
        """Notices for servers on the shards that are due, the longest waiting first, each held until `now + lease`."""
        due = select(notices).where(_open_on(shards), notices.c.retry_at <= now)
        async with self._database.write() as connection:
            query = due.order_by(notices.c.retry_at).limit(limit).with_for_update(of=notices, **TAKEN)
            rows = (await connection.execute(query)).all()
            taken = await subs.with_subscriptions(connection, rows, _notice)
            these = notices.c.id.in_([row.id for row in rows])
            if rows:
                await connection.execute(update(notices).where(these).values(held(notices, now, lease)))
        return [replace(notice, attempts=notice.attempts + 1) for notice in taken]

    async def next_retry(self, shards: Shards = ALL) -> datetime | None:
        """When the earliest notice for a server on the shards wants its next attempt."""
        async with self._database.read() as connection:
            return await next_retry(connection, notices, _open_on(shards))

    async def done(self, notice: Notice) -> None:
        """It was told, or cannot be."""
        await self._update(notice, done=True)

    async def retry(self, notice: Notice, at: datetime, *, outcome_known: bool) -> None:
        not_tried = {"first_attempt_at": None} if outcome_known and notice.first_attempt_at is None else {}
        await self._update(notice, retry_at=at, **not_tried)

    async def checked(self, results: Iterable[Checked], now: datetime) -> None:
        """Record what was found; what is wrong and was not told is told."""
        async with self._database.write() as connection:
            valid = await _still_valid(connection, list(results))
            if valid:
                await connection.execute(_CHECKED, [_row(result) for result in valid])
            for result in valid:
                if result.warning != result.subscription.warning:
                    await _settle(connection, result, now)

    async def _update(self, notice: Notice, **values: Any) -> None:
        async with self._database.write() as connection:
            held = (notices.c.id == notice.id) & (notices.c.attempts == notice.attempts)
            await connection.execute(update(notices).where(held).values(**values))


def _open_on(shards: Shards) -> ColumnElement[bool]:
    there = select(subscriptions.c.id).where(on_shards(shards, subscriptions.c.guild_id))
    known = ~notices.c.done & notices.c.kind.in_(list(NoticeKind))  # a later version may have stored others
    return known if shards == ALL else known & notices.c.subscription_id.in_(there)


async def enqueue(
    connection: AsyncConnection, subscription_id: int, kind: NoticeKind, reason: str, now: datetime
) -> None:
    """Have it told, unless it was told already."""
    row = {"id": secrets.token_hex(12), "subscription_id": subscription_id, "kind": kind, "reason": reason}
    state = {"created_at": now, "done": False, "attempts": 0, "retry_at": now}
    await connection.execute(insert_into(connection, notices).values(**row, **state).on_conflict_do_nothing())


_CHECKED = (
    update(subscriptions)
    .where(subscriptions.c.id == bindparam("_id"))
    .values(check_at=bindparam("_again_at"), warning=bindparam("_warning"))
)


async def _still_valid(connection: AsyncConnection, results: list[Checked]) -> list[Checked]:
    """What was found of a subscription that has changed since is worth nothing."""
    current = await subs.by_ids(connection, {result.subscription.id for result in results}, **LOCKED)
    return [result for result in results if current.get(result.subscription.id) == result.subscription]


def _row(result: Checked) -> dict[str, Any]:
    return {"_id": result.subscription.id, "_again_at": result.again_at, "_warning": result.warning}


async def _settle(connection: AsyncConnection, result: Checked, now: datetime) -> None:
    """Tell of what is newly wrong; forget what was told of it where it is over."""
    subscription, warning = result.subscription, result.warning
    if warning is None:
        over = (notices.c.subscription_id == subscription.id) & (notices.c.kind == NoticeKind.WARNED)
        await connection.execute(delete(notices).where(over))
    elif not subscription.blocked:
        await enqueue(connection, subscription.id, NoticeKind.WARNED, warning, now)


def _notice(row: Row[Any], subscription: Subscription) -> Notice:
    return Notice(**fields_of(row, Notice) | {"subscription": subscription, "kind": NoticeKind(row.kind)})
