"""What is left of a transaction that is cancelled at any moment: nothing that keeps the next one from its work.

The bot cancels what is at the database when a look takes too long, and when it ends; libraries do with their own tasks.
"""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import AsyncAdaptedQueuePool, func, select, text

from fakes import MONDAY
from weekbot.db.database import Database
from weekbot.db.tables import guilds
from weekbot.runtime.tasks import cancel_and_wait
from weekbot.store.guilds import Guilds

STEPS = 60
"""More turns of the event loop than a transaction takes, where the database answers at once."""


@pytest.fixture
async def other(url: str, database: Database) -> AsyncIterator[Database]:
    """As another process has it."""
    async with Database(url) as other:
        yield other


async def write(database: Database, number: int) -> None:
    """Two statements of one transaction."""
    async with database.write() as connection:
        for row in (2 * number, 2 * number + 1):
            values = {"guild_id": row, "timezone": "UTC"}
            await connection.execute(guilds.insert().values(values))


async def count(database: Database) -> int:
    async with database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(guilds)) or 0


async def after_steps(steps: int, task: asyncio.Task[None]) -> None:
    """Let the loop turn so often, waiting for other threads each time, and cancel the task."""
    for _ in range(steps):
        await asyncio.sleep(0.0005)
    await cancel_and_wait(task)


def checked_out(database: Database) -> int:
    pool = database.engine.pool
    assert isinstance(pool, AsyncAdaptedQueuePool)
    return pool.checkedout()


async def settled(database: Database) -> None:
    """Return when no connection is in use any more."""
    async with asyncio.timeout(30):
        while checked_out(database):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


async def test_a_transaction_that_is_cancelled_anywhere_is_wholly_done_or_not_at_all_and_holds_nothing(
    database: Database, other: Database
) -> None:
    done = 0
    for number in range(STEPS):
        await after_steps(number, asyncio.create_task(write(database, number)))
        await settled(database)
        await write(other, 1000 + number)  # nothing is locked
        rows = await count(database)
        assert (rows - done) in (2, 4)
        done = rows
    assert done > 2 * STEPS, "some came to their end before they were cancelled"


async def test_a_connection_is_as_good_as_new_after_a_cancellation(database: Database) -> None:
    for number in range(STEPS):
        await after_steps(number, asyncio.create_task(write(database, number)))
        async with database.read() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
        await Guilds(database).mark_joined([number], MONDAY)
    await settled(database)


async def test_no_thread_is_left_of_connections_that_were_cancelled_as_they_were_opened(url: str) -> None:
    before = threading.active_count()
    for number in range(STEPS):
        async with Database(url) as database:
            await after_steps(number % 20, asyncio.create_task(write(database, number)))
            await settled(database)
    async with asyncio.timeout(30):
        while threading.active_count() > before + 1:  # noqa: ASYNC110 - asyncio's own stays
            await asyncio.sleep(0.01)
