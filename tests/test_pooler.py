"""A pooler before PostgreSQL: in session mode it serves; in any other it is refused in one sentence."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from pgbouncer import pooled
from processes import RUN_AT, Place, place_in, posted, posts
from weekbot.cluster import leader_election as election_module
from weekbot.cluster.fencing import TERM, Fencing
from weekbot.cluster.leader_election import LeaderElection
from weekbot.cluster.process_lock import join_cluster, process_lock
from weekbot.db import sessions
from weekbot.db.database import Database
from weekbot.db.errors import FencedError
from weekbot.db.sessions import PoolerError, TooFewConnectionsError
from weekbot.store.metadata import Metadata

pytestmark = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
ROUND_ROBIN = {"server_round_robin": "1"}
RESET = {"server_reset_query_always": "1"}
RENEWAL_SECONDS = 0.02


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election_module, "RENEWAL_SECONDS", RENEWAL_SECONDS)


async def check(url: str) -> None:
    async with Database(url) as database:
        await database.check()


@contextmanager
def busy(url: str, idle: int, working: int = 0) -> Iterator[None]:
    """Server connections of the pooler that are idle, and others that somebody is working with."""
    with ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(url)) for _ in range(idle + working)]
        for client in clients:
            client.execute("SELECT 1")
        for client in clients[:idle]:
            client.rollback()
        yield


async def test_without_a_pooler_sessions_last(url: str) -> None:
    await check(url)


@pytest.mark.parametrize("idle", [0, 5])
async def test_in_session_mode_they_last(url: str, idle: int) -> None:
    with pooled(url, "session") as pooled_url:
        with busy(pooled_url, idle):
            pass
        await check(pooled_url)


@pytest.mark.parametrize(("idle", "working"), [(0, 0), (1, 0), (2, 2), (8, 0)])
@pytest.mark.parametrize(
    "more", [{}, ROUND_ROBIN, RESET, RESET | ROUND_ROBIN], ids=["last", "robin", "reset", "reset-robin"]
)
async def test_in_transaction_mode_they_are_lost_however_quiet_it_is(
    url: str, more: dict[str, str], idle: int, working: int
) -> None:
    """`reset` clears sessions after each transaction, as poolers do that keep prepared statements themselves."""
    with (
        pooled(url, "transaction", **more) as pooled_url,
        busy(pooled_url, idle, working),
        pytest.raises(PoolerError),
    ):
        await check(pooled_url)


async def test_in_transaction_mode_with_one_server_connection_they_are_lost(url: str) -> None:
    with pooled(url, "transaction", default_pool_size="1") as pooled_url, pytest.raises(PoolerError):
        await check(pooled_url)


@pytest.mark.long  # the driver waits for five seconds for what it gives up
async def test_a_pooler_that_grants_too_few_connections_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "TIMEOUT_SECONDS", 0.5)
    with (
        pooled(url, "session", default_pool_size="2") as pooled_url,
        pytest.raises(TooFewConnectionsError, match="allow each weekbot 10"),
    ):
        await check(pooled_url)


async def test_in_session_mode_one_of_two_sends_and_the_other_takes_over(url: str) -> None:
    with pooled(url, "session") as pooled_url:
        async with (
            Database(pooled_url) as first,
            Database(pooled_url) as second,
            join_cluster(second, timedelta()) as (standing_by, _),
        ):
            async with join_cluster(first, timedelta()) as (sending, _):
                sending.stand_for_election()
                await anext(sending.elected())
                standing_by.stand_for_election()
                await asyncio.sleep(2 * RENEWAL_SECONDS)
                assert not standing_by.is_leader()
            await anext(standing_by.elected())
            assert standing_by.is_leader()


async def test_nothing_is_corrected_alone_over_a_pooler(url: str) -> None:
    with pooled(url, "transaction") as pooled_url:
        async with Database(pooled_url) as database:
            with pytest.raises(PoolerError):
                await process_lock(database).__aenter__()


async def test_a_process_that_the_fence_refuses_notices_the_pooler_and_stops_sending(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A pooler can change its mode while processes run."""
    with pooled(url, "transaction", server_round_robin="1") as pooled_url, busy(pooled_url, 3):
        async with Database(pooled_url) as database, Database(url) as direct:
            fencing = Fencing()
            election = LeaderElection(database, fencing)
            async with election.running():
                election.stand_for_election()
                await anext(election.elected())
                async with direct.write() as connection:
                    await Fencing().begin(connection)
                with pytest.raises(FencedError):
                    async with direct.fenced(fencing.check).write():
                        pass
                assert not election.is_leader()
                async with asyncio.timeout(5):
                    while not election.obstacle:  # noqa: ASYNC110 - it looks by itself
                        await asyncio.sleep(0.01)
                assert not election.is_leader()
    assert "another process has become the leader (after term 1); this one steps down" in caplog.text
    assert caplog.text.count("a pooler between weekbot and PostgreSQL") == 1


# What an operator reads


def weekbot(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": os.environ["PATH"],
        "WEEKBOT_DATABASE_URL": url,
        "WEEKBOT_DISCORD_TOKEN": "a.b.c",
        "WEEKBOT_DISCORD_API_URL": "http://127.0.0.1:1",
    }
    command = [sys.executable, "-m", "weekbot", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


@pytest.mark.parametrize(("command", "mode"), [("run", "transaction"), ("db upgrade", "statement")])
async def test_a_command_ends_with_one_sentence(url: str, command: str, mode: str) -> None:
    with pooled(url, mode) as pooled_url:
        ended = weekbot(pooled_url, *command.split())
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "pooler to session mode (PgBouncer: pool_mode = session)" in line


async def test_doctor_names_the_pooler(url: str) -> None:
    with pooled(url, "transaction") as pooled_url:
        ended = weekbot(pooled_url, "doctor")
    [line] = [line for line in ended.stdout.splitlines() if "database" in line.split()]
    assert line.startswith("✗ error")
    assert "pooler to session mode" in line


# Whole processes


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


@pytest.mark.long
async def test_in_session_mode_another_process_posts_after_a_kill(place: Place, url: str) -> None:
    channel = place.guild.add_text_channel("weekly")
    with pooled(url, "session") as pooled_url:
        place.more["WEEKBOT_DATABASE_URL"] = pooled_url
        slot = await place.enter(channel)
        bot = (sys.executable, str(RUN_AT), place.at(slot - timedelta(seconds=20)))
        killed = await place.start(*bot)
        await until_term(place, "1")
        other = await place.start(*bot)
        await place.server.until(lambda: len(place.server.gateway.connections) == 2, "the other one")
        killed.kill()
        await until_term(place, "2")
        await posted(place, channel)
        other.terminate()
        written = [(await each.communicate())[1].decode() for each in (killed, other)]
    assert len(posts(place, channel)) == 1
    assert [text.count("this process is the leader from now on") for text in written] == [1, 1]
    assert not [text for text in written if "can't become" in text or "steps down" in text]


async def until_term(place: Place, term: str) -> None:
    async with place.database() as database, asyncio.timeout(60):
        while await Metadata(database).get(TERM) != term:  # noqa: ASYNC110 - PostgreSQL tells no event
            await asyncio.sleep(0.1)
