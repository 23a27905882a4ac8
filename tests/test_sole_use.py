"""One process at a time sends what a database holds."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from weekbot.store.database import Database
from weekbot.store.sole_use import InUseError, SoleUseLostError, sole_use

on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


async def test_a_second_one_is_kept_out_until_the_first_has_ended(url: str) -> None:
    first, second = Database(url), Database(url)
    async with sole_use(first):
        with pytest.raises(InUseError):
            async with sole_use(second):
                pass
    async with sole_use(second):
        pass
    await first.close()
    await second.close()


async def test_it_is_let_go_when_what_is_done_under_it_fails(url: str) -> None:
    database = Database(url)
    with pytest.raises(ZeroDivisionError):
        async with sole_use(database):
            raise ZeroDivisionError
    async with sole_use(database, timedelta(seconds=1)):
        pass
    await database.close()


async def cut(database: Database) -> None:
    """Cut the session that holds the lock."""
    statement = text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    async with database.write() as connection:
        await connection.execute(statement)


@on_postgresql
async def test_a_session_that_was_cut_ends_what_is_done_and_no_longer_keeps_others_out(url: str) -> None:
    first, second = Database(url), Database(url)
    tidied = asyncio.Event()
    with pytest.raises(SoleUseLostError):
        await _cut_while_working(first, second, tidied)
    assert tidied.is_set()
    async with sole_use(second):
        pass
    await first.close()
    await second.close()


async def _cut_while_working(first: Database, second: Database, tidied: asyncio.Event) -> None:
    async with sole_use(first):
        await cut(second)
        async with sole_use(second, timedelta(seconds=2)):
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.01)  # as what is in flight is finished
                tidied.set()


@on_postgresql
async def test_a_cancellation_from_outside_stays_one(url: str) -> None:
    database = Database(url)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), sole_use(database):
            await asyncio.sleep(30)
    another = Database(url)
    async with sole_use(another):
        pass
    await another.close()
    await database.close()
