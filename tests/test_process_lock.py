"""The process lock: one process for SQLite; for PostgreSQL, several processes with one leader."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from weekbot.cluster.leader_election import LeaderElection
from weekbot.cluster.process_lock import InUseError, ProcessLockLostError, join_cluster, process_lock
from weekbot.db.database import Database
from weekbot.db.errors import FencedError
from weekbot.runtime.leadership import SingleProcess
from weekbot.store.metadata import Metadata

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
NO_WAIT = timedelta()


# The cluster


@on_sqlite
async def test_a_sqlite_file_has_one_process_which_is_the_leader(url: str) -> None:
    first, second = Database(url), Database(url)
    async with join_cluster(first, NO_WAIT) as (election, fenced):
        assert isinstance(election, SingleProcess)
        assert election.is_leader()
        await Metadata(fenced).put("commands", "x")
        for use in (join_cluster, process_lock):
            with pytest.raises(InUseError):
                await use(second, NO_WAIT).__aenter__()
    async with join_cluster(second, NO_WAIT):
        pass
    await first.close()
    await second.close()


@on_sqlite
async def test_a_process_waits_for_another_one_to_release_the_file(url: str) -> None:
    first, second = Database(url), Database(url)

    async def use() -> None:
        async with join_cluster(second, timedelta(seconds=10)):
            pass

    async with join_cluster(first, NO_WAIT):
        waiting = asyncio.create_task(use())
        await asyncio.sleep(0.05)
        assert not waiting.done()
    await waiting
    await first.close()
    await second.close()


@on_postgresql
async def test_postgresql_allows_several_processes_but_no_process_lock_beside_a_leader(url: str) -> None:
    first, second, third = Database(url), Database(url), Database(url)
    async with join_cluster(first, NO_WAIT) as (election, _), join_cluster(second, NO_WAIT) as (_, fenced):
        assert isinstance(election, LeaderElection)
        election.stand_for_election()
        await anext(election.elected())
        with pytest.raises(FencedError):
            await Metadata(fenced).put("commands", "x")
        with pytest.raises(InUseError):
            await process_lock(third).__aenter__()
    for database in (first, second, third):
        await database.close()


@on_postgresql
async def test_a_released_process_lock_is_fenced_once_another_is_acquired(url: str) -> None:
    first, second = Database(url), Database(url)
    async with process_lock(first) as locked:
        await Metadata(locked).put("commands", "x")
    async with process_lock(second):
        with pytest.raises(FencedError):
            await Metadata(locked).put("commands", "y")
    await first.close()
    await second.close()


# The lock


async def test_the_lock_excludes_a_second_process_until_it_is_released(url: str) -> None:
    first, second = Database(url), Database(url)
    async with process_lock(first):
        with pytest.raises(InUseError):
            async with process_lock(second):
                pass
    async with process_lock(second):
        pass
    await first.close()
    await second.close()


async def test_an_exception_releases_the_lock(url: str) -> None:
    database = Database(url)
    with pytest.raises(ZeroDivisionError):
        async with process_lock(database):
            raise ZeroDivisionError
    async with process_lock(database, timedelta(seconds=1)):
        pass
    await database.close()


async def cut_session(database: Database) -> None:
    """Cut the session that holds the lock."""
    statement = text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    async with database.write() as connection:
        await connection.execute(statement)


@on_postgresql
async def test_a_cut_session_cancels_the_work_and_releases_the_lock(url: str) -> None:
    first, second = Database(url), Database(url)
    cleaned_up = asyncio.Event()
    with pytest.raises(ProcessLockLostError):
        await _cut_while_working(first, second, cleaned_up)
    assert cleaned_up.is_set()
    async with process_lock(second):
        pass
    await first.close()
    await second.close()


async def _cut_while_working(first: Database, second: Database, cleaned_up: asyncio.Event) -> None:
    async with process_lock(first):
        await cut_session(second)
        async with process_lock(second, timedelta(seconds=2)):
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.01)  # as if it finished a request
                cleaned_up.set()


@on_postgresql
async def test_a_cancellation_from_outside_is_passed_on(url: str) -> None:
    database = Database(url)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), process_lock(database):
            await asyncio.sleep(30)
    another = Database(url)
    async with process_lock(another):
        pass
    await another.close()
    await database.close()
