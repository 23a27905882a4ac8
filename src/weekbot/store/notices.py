"""Notices: what a server's moderators are told of a subscription, each once until it is over."""

import secrets
from collections.abc import Iterable
from datetime import datetime
from functools import partial
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
from weekbot.store.locks import LOCKED
from weekbot.store.queue import LeasedQueue, first_attempt
from weekbot.store.rows import fields_of
from weekbot.store.shards import on_shards


class Notices(LeasedQueue[Notice]):
    def __init__(self, database: Database) -> None:
        super().__init__(
            database, notices, _IS_OPEN, _notice, finished={"done": True}, begun=partial(first_attempt, notices)
        )

    async def checked(self, results: Iterable[Checked], now: datetime) -> None:
        """Record what was found; what is wrong and was not told is told."""
        async with self._database.write() as connection:
            valid = await _still_valid(connection, list(results))
            if valid:
                await connection.execute(_CHECKED, [_row(result) for result in valid])
            for result in valid:
                if result.warning != result.subscription.warning:
                    await _settle(connection, result, now)


_IS_OPEN = ~notices.c.done & notices.c.kind.in_(list(NoticeKind))  # a later version may have stored other kinds


def of_shards(shards: Shards) -> ColumnElement[bool] | None:
    """The condition that a notice is for a server on the shards; None if they are all."""
    there = select(subscriptions.c.id).where(on_shards(shards, subscriptions.c.guild_id))
    return None if shards == ALL else notices.c.subscription_id.in_(there)


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
    given = {"subscription": subscription, "kind": NoticeKind(row.kind), "attempts": row.attempts + 1}
    return Notice(**fields_of(row, Notice) | given)
