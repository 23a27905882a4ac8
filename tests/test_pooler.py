"""A connection pooler for PostgreSQL: session mode works, and any other mode is a one-sentence error."""

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
def open_connections(url: str, idle: int, in_transaction: int = 0) -> Iterator[None]:
    """Keep server connections of the pooler open: some idle, others in a transaction."""
    with ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(url)) for _ in range(idle + in_transaction)]
        for client in clients:
            client.execute("SELECT 1")
        for client in clients[:idle]:
            client.rollback()
        yield


async def test_sessions_persist_without_a_pooler(url: str) -> None:
    await check(url)


@pytest.mark.parametrize("idle", [0, 5])
async def test_sessions_persist_in_session_mode(url: str, idle: int) -> None:
    with pooled(url, "session") as pooled_url:
        with open_connections(pooled_url, idle):
            pass
        await check(pooled_url)


@pytest.mark.parametrize(("idle", "in_transaction"), [(0, 0), (1, 0), (2, 2), (8, 0)])
@pytest.mark.parametrize(
    "more", [{}, ROUND_ROBIN, RESET, RESET | ROUND_ROBIN], ids=["last", "robin", "reset", "reset-robin"]
)
async def test_transaction_mode_is_detected_at_any_load(
    url: str, more: dict[str, str], idle: int, in_transaction: int
) -> None:
    """`reset` clears sessions after each transaction, as poolers do that track prepared statements themselves."""
    with (
        pooled(url, "transaction", **more) as pooled_url,
        open_connections(pooled_url, idle, in_transaction),
        pytest.raises(PoolerError),
    ):
        await check(pooled_url)


async def test_transaction_mode_with_one_server_connection_is_detected(url: str) -> None:
    with pooled(url, "transaction", default_pool_size="1") as pooled_url, pytest.raises(PoolerError):
        await check(pooled_url)


@pytest.mark.long  # the driver waits five seconds for the connections that it gives up
async def test_a_pooler_with_too_few_connections_is_an_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "TIMEOUT_SECONDS", 0.5)
    with (
        pooled(url, "session", default_pool_size="2") as pooled_url,
        pytest.raises(TooFewConnectionsError, match="allow each weekbot 10"),
    ):
        await check(pooled_url)


async def test_in_session_mode_one_of_two_processes_leads_and_the_other_takes_over(url: str) -> None:
    with pooled(url, "session") as pooled_url:
        async with (
            Database(pooled_url) as first,
            Database(pooled_url) as second,
            join_cluster(second, timedelta()) as (standby, _),
        ):
            async with join_cluster(first, timedelta()) as (leader, _):
                leader.stand_for_election()
                await anext(leader.elected())
                standby.stand_for_election()
                await asyncio.sleep(2 * RENEWAL_SECONDS)
                assert not standby.is_leader()
            await anext(standby.elected())
            assert standby.is_leader()


async def test_the_process_lock_is_refused_through_a_pooler(url: str) -> None:
    with pooled(url, "transaction") as pooled_url:
        async with Database(pooled_url) as database:
            with pytest.raises(PoolerError):
                await process_lock(database).__aenter__()


async def test_a_fenced_leader_detects_the_pooler_and_stops(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A pooler can change its mode while processes run."""
    with pooled(url, "transaction", server_round_robin="1") as pooled_url, open_connections(pooled_url, 3):
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
                    while not election.obstacle:  # noqa: ASYNC110 - nothing signals it
                        await asyncio.sleep(0.01)
                assert not election.is_leader()
    assert "another process has become the leader (after term 1); this one steps down" in caplog.text
    assert caplog.text.count("a pooler between weekbot and PostgreSQL") == 1


# Messages to the operator


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
async def test_a_command_fails_with_one_sentence(url: str, command: str, mode: str) -> None:
    with pooled(url, mode) as pooled_url:
        result = weekbot(pooled_url, *command.split())
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert "pooler to session mode (PgBouncer: pool_mode = session)" in line


async def test_the_doctor_reports_the_pooler(url: str) -> None:
    with pooled(url, "transaction") as pooled_url:
        result = weekbot(pooled_url, "doctor")
    [line] = [line for line in result.stdout.splitlines() if "database" in line.split()]
    assert line.startswith("✗ error")
    assert "pooler to session mode" in line


# Whole processes


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


@pytest.mark.long
async def test_in_session_mode_another_process_posts_after_the_leader_is_killed(place: Place, url: str) -> None:
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
        logs = [(await each.communicate())[1].decode() for each in (killed, other)]
    assert len(posts(place, channel)) == 1
    assert [text.count("this process is the leader from now on") for text in logs] == [1, 1]
    assert not [text for text in logs if "can't become" in text or "steps down" in text]


async def until_term(place: Place, term: str) -> None:
    async with place.database() as database, asyncio.timeout(60):
        while await Metadata(database).get(TERM) != term:  # noqa: ASYNC110 - PostgreSQL sends no event
            await asyncio.sleep(0.1)
