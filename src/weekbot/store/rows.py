"""Database rows: their conversion to domain types, their locks, and the shards that their servers are on."""

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from sqlalchemy import Column, ColumnElement, Row, Table, bindparam, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.domain.deliveries import Delivery, PostForm, State
from weekbot.domain.shards import TIMESTAMP_FROM, Shards
from weekbot.domain.subscriptions import Subscription


class Lock(TypedDict, total=False):
    """Options of `with_for_update`, which SQLite ignores. Rows that refer to the locked one aren't locked."""

    skip_locked: bool
    key_share: bool


LOCKED: Final[Lock] = {"key_share": True}
"""For rows that are read to be changed."""
CLAIMING: Final[Lock] = {"skip_locked": True, "key_share": True}
"""For rows that one of several processes claims: skips those that another is claiming."""


def fields_of(row: Row[Any], kind: type[Any]) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name in kind.__dataclass_fields__}


def delivery_of(row: Row[Any], subscription: Subscription) -> Delivery:
    """A form that a later version stored counts as unknown, like that of a message found in the history."""
    columns = fields_of(row, Delivery) | {"subscription": subscription, "state": State(row.state)}
    if row.form in list(PostForm):
        columns["form"] = PostForm(row.form)
    elif row.form:
        columns |= {"form": None, "version": None}
    return Delivery(**columns)


def row_of(delivery: Delivery) -> dict[str, Any]:
    columns = {name: getattr(delivery, name) for name in Delivery.__dataclass_fields__ if name != "subscription"}
    return {**columns, "subscription_id": delivery.subscription.id}


async def update_each(connection: AsyncConnection, table: Table, rows: Mapping[Any, Mapping[str, Any]]) -> None:
    """Update the rows with these ids, which all get values of the same columns."""
    new = [{"_id": id_, **row} for id_, row in rows.items()]
    await connection.execute(update(table).where(table.c.id == bindparam("_id")), new)


def on_shards(shards: Shards, guild_id: Column[int]) -> ColumnElement[bool]:
    shard = guild_id // TIMESTAMP_FROM % shards.count
    return true() if len(shards.ids) == shards.count else shard.in_(shards.ids)
