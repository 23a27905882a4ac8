"""A transaction can be cancelled at any moment without blocking the next one.

The bot cancels database tasks when they take too long and when it stops; libraries cancel their own tasks.
"""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select, text

from fakes import MONDAY
from open_connections import checked_out
from weekbot.db.database import Database
from weekbot.db.tables import guilds
from weekbot.runtime.tasks import cancel_and_wait
from weekbot.store.guilds import Guilds

STEPS = 60
"""More iterations of the event loop than a transaction takes if the database responds immediately."""


@pytest.fixture
async def other(url: str, database: Database) -> AsyncIterator[Database]:
    """The database of another process."""
    async with Database(url) as other:
        yield other


async def write(database: Database, number: int) -> None:
    """Execute two statements in one transaction."""
    async with database.write() as connection:
        for row in (2 * number, 2 * number + 1):
            values = {"guild_id": row, "timezone": "UTC"}
            await connection.execute(guilds.insert().values(values))


async def count(database: Database) -> int:
    async with database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(guilds)) or 0


async def cancel_after_steps(steps: int, task: asyncio.Task[None]) -> None:
    """Cancel the task after this many iterations of the loop, each with a pause for other threads."""
    for _ in range(steps):
        await asyncio.sleep(0.0005)
    await cancel_and_wait(task)


async def wait_until_idle(database: Database) -> None:
    """Wait until no connection is in use."""
    async with asyncio.timeout(30):
        while checked_out(database):  # noqa: ASYNC110 - the pool has no event
            await asyncio.sleep(0.01)


async def test_a_cancelled_transaction_is_atomic_and_holds_no_lock(database: Database, other: Database) -> None:
    rows_before = 0
    for number in range(STEPS):
        await cancel_after_steps(number, asyncio.create_task(write(database, number)))
        await wait_until_idle(database)
        await write(other, 1000 + number)  # the database isn't locked
        rows = await count(database)
        assert (rows - rows_before) in (2, 4)
        rows_before = rows
    assert rows_before > 2 * STEPS, "no transaction finished before it was cancelled"


async def test_a_connection_can_be_used_after_a_cancellation(database: Database) -> None:
    for number in range(STEPS):
        await cancel_after_steps(number, asyncio.create_task(write(database, number)))
        async with database.read() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
        await Guilds(database).mark_joined([number], MONDAY)
    await wait_until_idle(database)


async def test_no_thread_is_left_when_opening_a_connection_is_cancelled(url: str) -> None:
    before = threading.active_count()
    for number in range(STEPS):
        async with Database(url) as database:
            await cancel_after_steps(number % 20, asyncio.create_task(write(database, number)))
            await wait_until_idle(database)
    async with asyncio.timeout(30):
        while threading.active_count() > before + 1:  # noqa: ASYNC110 - asyncio's own thread stays
            await asyncio.sleep(0.01)
