"""A database that can be read but not written to: a user without privileges, a read-only server, a standby."""

import asyncio
import re
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import delete, update
from sqlalchemy.engine import make_url

from pgbouncer import free_port
from processes import Place, place_in
from standby import standby
from weekbot.cluster import leader_election as node_module
from weekbot.cluster.process_lock import join_cluster, process_lock
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnavailableError, DatabaseUnusableError
from weekbot.db.postgresql import wake_leader
from weekbot.db.tables import deliveries, notices
from weekbot.ops.doctor.database import Records
from weekbot.ops.doctor.finding import Level
from weekbot.runtime.leadership import ClusterNode
from weekbot.store.metadata import Metadata

pytestmark = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
GRANT = (
    "GRANT USAGE, CREATE ON SCHEMA public TO {user};"
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {user}"
)


@contextmanager
def user_without(url: str, *statements: str) -> Iterator[str]:
    """Yield the URL of a new user with all privileges except those that the statements revoke."""
    name = f"reader_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as owner:
        for statement in ("CREATE ROLE {user} LOGIN", GRANT, *statements):
            owner.execute(sql.SQL(statement).format(user=sql.Identifier(name)))
        try:
            yield str(make_url(url).set(username=name))
        finally:
            for statement in ("DROP OWNED BY {user}", "DROP ROLE {user}"):
                owner.execute(sql.SQL(statement).format(user=sql.Identifier(name)))


@contextmanager
def on_standby(url: str) -> Iterator[str]:
    with standby() as made:
        yield made.url(url)


def without_update(url: str) -> Any:
    return user_without(url, "REVOKE UPDATE ON deliveries FROM {user}")


def without_insert(url: str) -> Any:
    return user_without(url, "REVOKE INSERT ON facts FROM {user}")


def without_delete_and_numbers(url: str) -> Any:
    return user_without(
        url, "REVOKE DELETE ON notices FROM {user}", "REVOKE ALL ON SEQUENCE subscriptions_id_seq FROM {user}"
    )


def read_only(url: str) -> Any:
    return user_without(url, "ALTER ROLE {user} SET default_transaction_read_only = on")


OBSTACLES: list[Any] = [
    pytest.param(without_update, "lacks UPDATE on deliveries; run as the tables' owner: GRANT ", id="update"),
    pytest.param(without_insert, "lacks INSERT on facts; ", id="insert"),
    pytest.param(
        without_delete_and_numbers, "lacks DELETE on notices, USAGE on public.subscriptions_id_seq; ", id="delete"
    ),
    pytest.param(read_only, "read-only (default_transaction_read_only is on); switch that off", id="read-only"),
    pytest.param(on_standby, "is a standby, which can only be read; set WEEKBOT_DATABASE_URL to the", id="standby"),
]
each_obstacle = pytest.mark.parametrize(("obstructed", "message"), OBSTACLES)


@pytest.fixture(autouse=True)
def fast_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "RENEWAL_SECONDS", 0.02)


@asynccontextmanager
async def node_over(url: str) -> AsyncIterator[ClusterNode]:
    """Run the node of a process that may become the leader and owns the first shard."""
    async with Database(url) as database, join_cluster(database, timedelta()) as (node, _):
        node.stand_for_election()
        node.connected(0)
        assert await node.inherits(0)
        yield node


async def eventually(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not met():  # noqa: ASYNC110 - PostgreSQL has no event for it
            await asyncio.sleep(0.01)


@each_obstacle
async def test_a_process_that_cannot_write_answers_members_but_never_leads(
    url: str, obstructed: Callable[[str], Any], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with obstructed(url) as obstructed_url:
        async with node_over(obstructed_url) as node:
            assert node.obstacle
            assert message in node.obstacle
            assert not node.is_leader()
    assert [record.getMessage() for record in caplog.records] == [
        f"this process can't become the leader: {node.obstacle}"
    ]


@each_obstacle
async def test_the_process_lock_is_refused_with_the_reason(
    url: str, obstructed: Callable[[str], Any], message: str
) -> None:
    with obstructed(url) as obstructed_url:
        async with Database(obstructed_url) as database:
            with pytest.raises(DatabaseUnusableError, match=re.escape(message)):
                await process_lock(database).__aenter__()


@each_obstacle
async def test_doctor_reports_the_obstacle(url: str, obstructed: Callable[[str], Any], message: str) -> None:
    with obstructed(url) as obstructed_url:
        async with aclosing(Records(obstructed_url)) as records:
            [finding] = [finding async for finding in records.check()]
    assert finding.level is Level.ERROR
    assert message in finding.sentence


@each_obstacle
async def test_a_failed_write_raises_database_unavailable_error(
    url: str, obstructed: Callable[[str], Any], message: str
) -> None:
    """So `/ready` describes it, and the log has no traceback."""
    with obstructed(url) as obstructed_url:
        async with Database(obstructed_url) as database:
            with pytest.raises(DatabaseUnavailableError) as raised:
                await _write_everywhere(database)
    assert "WEEKBOT_DATABASE_URL" in raised.value.remedy or "own the database" in raised.value.remedy, message


async def _write_everywhere(database: Database) -> None:
    await Metadata(database).put("commands", "x")
    async with database.write() as connection:
        await connection.execute(update(deliveries).values(reason=None))
        await connection.execute(delete(notices))


async def test_a_process_can_lead_again_after_a_privilege_is_granted(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with without_update(url) as obstructed_url:
        async with node_over(obstructed_url) as node:
            name = make_url(obstructed_url).username or ""
            with psycopg.connect(url, autocommit=True) as owner:
                owner.execute(sql.SQL("GRANT UPDATE ON deliveries TO {}").format(sql.Identifier(name)))
            await eventually(node.is_leader)
    assert node.obstacle is None
    assert "this process can become the leader again" in caplog.text


async def test_a_leader_that_loses_a_privilege_is_replaced(url: str) -> None:
    with user_without(url) as first_url:
        async with node_over(first_url) as first:
            await eventually(first.is_leader)
            async with node_over_another_shard(url) as second:
                name = make_url(first_url).username or ""
                with psycopg.connect(url, autocommit=True) as owner:
                    owner.execute(sql.SQL("REVOKE UPDATE ON deliveries FROM {}").format(sql.Identifier(name)))
                await eventually(second.is_leader)
                assert not first.is_leader()
                assert first.owns(0)


@asynccontextmanager
async def node_over_another_shard(url: str) -> AsyncIterator[ClusterNode]:
    async with Database(url) as database, join_cluster(database, timedelta()) as (node, _):
        node.stand_for_election()
        yield node


async def test_a_process_on_a_promoted_standby_becomes_the_leader_and_is_woken(url: str) -> None:
    with standby() as made:
        standby_url = made.url(url)
        woken = asyncio.Event()
        async with node_over(standby_url) as node, Database(standby_url) as database:
            assert node.obstacle
            made.promote()
            await eventually(node.is_leader)
            node.on_wake(woken.set)
            async with database.write() as connection:
                await wake_leader(connection)
            async with asyncio.timeout(5):
                await woken.wait()


# A whole process


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


@pytest.mark.long
@each_obstacle
async def test_a_bot_that_cannot_write_answers_lookups_and_reports_why_it_sends_nothing(
    place: Place, url: str, obstructed: Callable[[str], Any], message: str
) -> None:
    place.guild.add_text_channel("weekly")
    port = free_port()
    with obstructed(url) as obstructed_url:
        place.more |= {"WEEKBOT_DATABASE_URL": obstructed_url, "WEEKBOT_HEALTH_PORT": str(port)}
        bot = await place.start(sys.executable, "-m", "weekbot", "run")
        try:
            await place.server.ready()
            channel = next(iter(place.guild.channels.values()))
            lookup = place.server.invoke(channel, "framework", {"name": "flask"}, unchecked=True)
            await place.server.until(lambda: lookup.answered, "an answer")
            assert "Flask" in lookup.text
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/ready") as answer:
                status, conditions = answer.status, (await answer.json())["conditions"]
        finally:
            bot.terminate()
            log = (await bot.communicate())[1].decode()
    assert (status, bot.returncode) == (503, 0)
    assert message in conditions["database"]["says"]
    assert "Traceback" not in log
    assert log.count("this process can't become the leader: ") == 1
    assert message in log
