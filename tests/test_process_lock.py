"""Who may use a database: with SQLite one process, with PostgreSQL several, one of which sends, or corrects, alone."""

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
NO_PATIENCE = timedelta()


# Shared


@on_sqlite
async def test_a_file_has_one_process_which_leads_and_nobody_else(url: str) -> None:
    first, second = Database(url), Database(url)
    async with join_cluster(first, NO_PATIENCE) as (election, fenced):
        assert isinstance(election, SingleProcess)
        assert election.is_leader()
        await Metadata(fenced).put("commands", "x")
        for use in (join_cluster, process_lock):
            with pytest.raises(InUseError):
                await use(second, NO_PATIENCE).__aenter__()
    async with join_cluster(second, NO_PATIENCE):
        pass
    await first.close()
    await second.close()


@on_sqlite
async def test_a_file_that_another_is_just_leaving_is_waited_for(url: str) -> None:
    first, second = Database(url), Database(url)

    async def use() -> None:
        async with join_cluster(second, timedelta(seconds=10)):
            pass

    async with join_cluster(first, NO_PATIENCE):
        waiting = asyncio.create_task(use())
        await asyncio.sleep(0.05)
        assert not waiting.done()
    await waiting
    await first.close()
    await second.close()


@on_postgresql
async def test_a_server_has_several_and_whoever_corrects_alone_is_kept_out_while_one_sends(url: str) -> None:
    first, second, third = Database(url), Database(url), Database(url)
    async with join_cluster(first, NO_PATIENCE) as (election, _), join_cluster(second, NO_PATIENCE) as (_, fenced):
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
async def test_what_is_done_alone_is_fenced_once_another_sends(url: str) -> None:
    first, second = Database(url), Database(url)
    async with process_lock(first) as alone:
        await Metadata(alone).put("commands", "x")
    async with process_lock(second):
        with pytest.raises(FencedError):
            await Metadata(alone).put("commands", "y")
    await first.close()
    await second.close()


# Alone


async def test_a_second_one_is_kept_out_until_the_first_has_ended(url: str) -> None:
    first, second = Database(url), Database(url)
    async with process_lock(first):
        with pytest.raises(InUseError):
            async with process_lock(second):
                pass
    async with process_lock(second):
        pass
    await first.close()
    await second.close()


async def test_it_is_let_go_when_what_is_done_under_it_fails(url: str) -> None:
    database = Database(url)
    with pytest.raises(ZeroDivisionError):
        async with process_lock(database):
            raise ZeroDivisionError
    async with process_lock(database, timedelta(seconds=1)):
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
    with pytest.raises(ProcessLockLostError):
        await _cut_while_working(first, second, tidied)
    assert tidied.is_set()
    async with process_lock(second):
        pass
    await first.close()
    await second.close()


async def _cut_while_working(first: Database, second: Database, tidied: asyncio.Event) -> None:
    async with process_lock(first):
        await cut(second)
        async with process_lock(second, timedelta(seconds=2)):
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.01)  # as what is in flight is finished
                tidied.set()


@on_postgresql
async def test_a_cancellation_from_outside_stays_one(url: str) -> None:
    database = Database(url)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), process_lock(database):
            await asyncio.sleep(30)
    another = Database(url)
    async with process_lock(another):
        pass
    await another.close()
    await database.close()
