"""Closing the database while transactions are open."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import greenlet_spawn

from open_connections import checked_out
from weekbot.db import database as database_module
from weekbot.db.database import Database
from weekbot.db.group_commit import GroupCommit
from weekbot.db.tables import guilds
from weekbot.runtime.tasks import cancel_and_wait


async def insert(connection: AsyncConnection, ids: Sequence[int]) -> Sequence[int]:
    await connection.execute(guilds.insert(), [{"guild_id": id_, "timezone": "UTC"} for id_ in ids])
    return ids


async def insert_when(released: asyncio.Event, database: Database) -> None:
    async with database.write() as connection:
        await insert(connection, [1])
        await released.wait()


async def count(url: str) -> int:
    async with Database(url) as database, database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(guilds)) or 0


async def until_open(database: Database) -> None:
    async with asyncio.timeout(30):
        while not checked_out(database):  # noqa: ASYNC110 - the pool has no event
            await asyncio.sleep(0.01)


async def test_closing_writes_the_group_that_still_collects_items(url: str) -> None:
    database = Database(url)
    commits = GroupCommit(database, insert, timedelta(seconds=0.05))
    put = [asyncio.create_task(commits.put(id_)) for id_ in (1, 2)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*put) == [1, 2]
    assert await count(url) == 2


async def test_closing_waits_for_an_open_transaction(url: str) -> None:
    database, released = Database(url), asyncio.Event()
    writing = asyncio.create_task(insert_when(released, database))
    await until_open(database)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    released.set()
    await closing
    assert writing.done()
    assert await count(url) == 1


async def test_closing_does_not_wait_forever(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "CLOSE_SECONDS", 0.05)
    database = Database(url)
    pool = database.engine.pool
    writing = asyncio.create_task(insert_when(asyncio.Event(), database))
    await until_open(database)
    async with asyncio.timeout(30):
        await database.close()
    await cancel_and_wait(writing)
    await greenlet_spawn(pool.dispose)  # closes the connection that the transaction kept
    assert await count(url) == 0
