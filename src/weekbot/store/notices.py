"""Notices about subscriptions: moderators receive each one once, until its reason is gone."""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.db.tables import notices, subscriptions
from weekbot.db.upsert import insert_into
from weekbot.domain.notices import Checked, Notice, NoticeKind
from weekbot.domain.shards import ALL, Shards
from weekbot.domain.subscriptions import Subscription
from weekbot.store import subscriptions as subs
from weekbot.store.queue import LeasedQueue, first_attempt
from weekbot.store.rows import LOCKED, fields_of, on_shards, update_each


class Notices(LeasedQueue[Notice]):
    _table, _query = notices, select(notices).order_by(notices.c.retry_at)
    _is_open = ~notices.c.done & notices.c.kind.in_(list(NoticeKind))  # a later version may have stored other kinds
    _finished = {"done": True}

    def _job(self, row: Row[Any], subscription: Subscription) -> Notice:
        given = {"subscription": subscription, "kind": NoticeKind(row.kind), "attempts": row.attempts + 1}
        return Notice(**fields_of(row, Notice) | given)

    def _begun(self, now: datetime) -> dict[str, Any]:
        return first_attempt(notices, now)

    async def record_checks(self, results: Collection[Checked], now: datetime) -> None:
        """Record the results, except those of subscriptions that changed meanwhile; enqueue notices of new problems."""
        async with self._database.write() as connection:
            current = await subs.by_ids(connection, {each.subscription.id for each in results}, **LOCKED)
            valid = [each for each in results if current.get(each.subscription.id) == each.subscription]
            if valid:
                checks = {each.subscription.id: {"check_at": each.again_at, "warning": each.warning} for each in valid}
                await update_each(connection, subscriptions, checks)
            for result in valid:
                if result.warning != result.subscription.warning:
                    await _update_warning(connection, result, now)


def of_shards(shards: Shards) -> ColumnElement[bool] | None:
    """The condition that a notice is for a server on the shards; None if they are all shards."""
    there = select(subscriptions.c.id).where(on_shards(shards, subscriptions.c.guild_id))
    return None if shards == ALL else notices.c.subscription_id.in_(there)


async def enqueue(
    connection: AsyncConnection, subscription_id: int, kind: NoticeKind, reason: str, now: datetime
) -> None:
    """Enqueue a notice, unless the subscription already has one of this kind."""
    row = {"id": secrets.token_hex(12), "subscription_id": subscription_id, "kind": kind, "reason": reason}
    state = {"created_at": now, "done": False, "attempts": 0, "retry_at": now}
    await connection.execute(insert_into(connection, notices).values(**row, **state).on_conflict_do_nothing())


async def _update_warning(connection: AsyncConnection, result: Checked, now: datetime) -> None:
    """Enqueue the new warning, or delete the old one's notice if all is well again."""
    subscription, warning = result.subscription, result.warning
    if warning is None:
        over = (notices.c.subscription_id == subscription.id) & (notices.c.kind == NoticeKind.WARNED)
        await connection.execute(delete(notices).where(over))
    elif not subscription.blocked:
        await enqueue(connection, subscription.id, NoticeKind.WARNED, warning, now)
