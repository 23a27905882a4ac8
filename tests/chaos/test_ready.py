"""Readiness of a `weekbot run` process that loses its gateway, its database, its content or the right time."""

import asyncio
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import psycopg
import pytest
from aiohttp.test_utils import unused_port
from psycopg import sql

from chaos.harness import SLOT, Bot, Place, place_in
from conftest import CONTENT
from postgres import server
from weekbot.domain.schedule import WEEK

pytestmark = pytest.mark.chaos

SILENCE_SECONDS, HEARTBEAT_SECONDS = 2.0, 0.4  # the timeout of a silent gateway, and the interval of its heartbeats
LONGEST_WAIT_SECONDS = 60


@dataclass
class MonitoredBot:
    """A bot, and a session with its health server."""

    place: Place
    bot: Bot
    session: aiohttp.ClientSession

    async def ready(self) -> tuple[int, dict[str, Any]]:
        async with self.session.get("/ready") as answer:
            return answer.status, (await answer.json())["conditions"]

    async def until(self, met: Callable[[int, dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the predicate is true, and return the conditions; `/live` must always be 200."""
        async with asyncio.timeout(LONGEST_WAIT_SECONDS):
            while True:
                async with self.session.get("/live") as answer:
                    assert answer.status == 200
                status, conditions = await self.ready()
                if met(status, conditions):
                    return conditions
                await asyncio.sleep(0.05)

    async def until_ready(self) -> dict[str, Any]:
        return await self.until(lambda status, _: status == 200)

    async def until_unmet(self, name: str) -> str:
        """Wait until the condition fails, and return its message."""
        reported = await self.until(lambda status, each: status == 503 and not each[name]["met"])
        return str(reported[name]["says"])

    async def metrics(self) -> str:
        async with self.session.get("/metrics") as answer:
            return await answer.text()


@asynccontextmanager
async def monitored(place: Place, **more: str) -> AsyncIterator[MonitoredBot]:
    port = unused_port()
    more |= {"WEEKBOT_HEALTH_PORT": str(port), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    bot = await place.start(str(SILENCE_SECONDS), **more)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        try:
            await wait_until_live(session)
            yield MonitoredBot(place, bot, session)
        except BaseException:
            bot.kill()
            await bot.ended()
            raise
    assert await bot.stop() == 0, place.log[-2000:]


async def wait_until_live(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(LONGEST_WAIT_SECONDS):
        while True:
            try:
                async with session.get("/live"):
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)


@pytest.fixture
async def place(tmp_path: Path, url: str) -> AsyncIterator[Place]:
    async with subscribed_place_in(tmp_path, url) as place:
        yield place


@asynccontextmanager
async def subscribed_place_in(folder: Path, url: str) -> AsyncIterator[Place]:
    """Create a place with one subscribed channel."""
    async with place_in(folder, Random(0), url) as place:
        place.add_channels(guilds=1, channels=1)
        place.server.gateway.heartbeat_interval = HEARTBEAT_SECONDS
        await place.subscribe(place.channels)
        yield place


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed commands


def run_or_skip(*command: str) -> None:
    """Run the command; skip the test if it isn't permitted."""
    try:
        run(*command)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"{' '.join(command[:2])}: {error}")


only_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


@only_sqlite
async def test_readiness_follows_the_gateway_connection(place: Place) -> None:
    gateway = place.server.gateway
    gateway.down = True
    async with monitored(place) as bot:
        assert "Not connected to Discord's gateway yet" in await bot.until_unmet("gateway")
        gateway.down = False
        await bot.until(
            lambda status, each: status == 200 and each["leadership"]["says"] == "This process sends posts."
        )
        gateway.down, gateway.acknowledges = (
            True,
            False,
        )  # it stops acknowledging heartbeats and refuses new connections
        assert "shard 0. It reconnects automatically" in await bot.until_unmet("gateway")
        gateway.down, gateway.acknowledges = False, True
        await bot.until_ready()
        text = await bot.metrics()
    assert "weekbot_is_leader 1.0" in text
    assert sum(float(line.split()[1]) for line in text.splitlines() if "weekbot_gateway_reconnects_total{" in line) > 0


async def test_readiness_fails_while_the_database_is_unavailable(place: Place) -> None:
    async with monitored(place) as bot:
        await bot.until_ready()
        with database_outage(place):
            assert "Check that it runs" in await bot.until_unmet("database")
            assert "weekbot_deliveries_due NaN" in await bot.metrics()
        await bot.until_ready()
        place.clock.start(SLOT)
        await place.settled()
    assert place.post_counts() == {1}


@contextmanager
def database_outage(place: Place) -> Iterator[None]:
    """Lock the SQLite file, or cut all PostgreSQL sessions and refuse new ones."""
    if place.database.is_sqlite:
        with closing(sqlite3.connect(place.database.name, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    name = str(place.database.engine.url.database)
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(allow.format(sql.Identifier(name), sql.Literal(False)))
        cut_sessions(connection, name)
        yield
        connection.execute(allow.format(sql.Identifier(name), sql.Literal(True)))


async def test_a_full_disk_is_reported_and_posts_are_sent_when_there_is_space(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
        async with subscribed_place_in(tmp_path, f"sqlite:///{disk / 'weekbot.db'}") as place, monitored(place) as bot:
            await bot.until_ready()
            with closing(sqlite3.connect(disk / "weekbot.db")) as other:  # otherwise its log has space for a while
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with full(disk):
                place.clock.start(SLOT)
                assert "disk is full" in await bot.until_unmet("database")
                assert "database or disk is full" in place.log
            await bot.until_ready()
            await place.settled()
        assert place.post_counts() == {1}


async def test_a_read_only_database_is_reported_and_posts_are_sent_once_it_is_writable(
    tmp_path: Path, url: str
) -> None:
    with on_separate_disk(tmp_path / "disk", url) as disk_url:
        async with subscribed_place_in(tmp_path, disk_url) as place, monitored(place) as bot:
            await bot.until_ready()
            with read_only(place):
                place.clock.start(SLOT)
                reported = await bot.until_unmet("database")
                assert "read-only" in reported or "disk I/O error" in reported
                assert re.search("the database cannot be used|leader: The database is read-only", place.log)
            await bot.until_ready()
            await place.settled()
        assert place.post_counts() == {1}


@contextmanager
def on_separate_disk(folder: Path, url: str) -> Iterator[str]:
    """Put the SQLite file on a disk whose immutable files aren't writable even if they are open, unlike on a tmpfs."""
    if not url.startswith("sqlite"):
        yield url
        return
    image = folder.with_suffix(".img")
    run_or_skip("mkfs.ext4", "-q", str(image), "16m")
    with mounted(folder, "-o", "loop", str(image)):
        yield f"sqlite:///{folder / 'weekbot.db'}"


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    folder.mkdir()
    run_or_skip("mount", *options, str(folder))
    try:
        yield
    finally:
        run("umount", str(folder))


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill the disk during the block."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def read_only(place: Place) -> Iterator[None]:
    """Make the SQLite files immutable, or PostgreSQL's sessions read-only."""
    if place.database.is_sqlite:
        # Not the `-shm` file: a process that writes to its mapping would be killed.
        files = [place.database.name, f"{place.database.name}-wal"]
        run_or_skip("chattr", "+i", *files)
        try:
            yield
        finally:
            run("chattr", "-i", *files)
        return
    name = str(place.database.engine.url.database)
    setting = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(setting.format(sql.Identifier(name), sql.SQL("on")))
        cut_sessions(connection, name)
        yield
        connection.execute(setting.format(sql.Identifier(name), sql.SQL("off")))
        cut_sessions(connection, name)


def cut_sessions(connection: psycopg.Connection, database: str) -> None:
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])


@only_sqlite
async def test_a_missing_content_folder_is_reported_and_the_last_valid_content_is_used(place: Place) -> None:
    folder = place.folder / "content"
    shutil.copytree(CONTENT, folder)
    async with monitored(place, WEEKBOT_CONTENT_DIR=str(folder)) as bot:
        await bot.until_ready()
        shutil.rmtree(folder)
        reported = await bot.until(lambda _, conditions: "last valid version" in conditions["content"]["says"])
        assert reported["content"]["met"]
        assert (await bot.ready())[0] == 200
        assert "weekbot_content_topics 62.0" in await bot.metrics()
        place.clock.start(SLOT)
        await place.settled()
    assert place.post_counts() == {1}


@only_sqlite
async def test_clock_jumps_of_three_days_neither_lose_nor_duplicate_a_post(place: Place) -> None:
    three_days, before = (
        timedelta(days=3),
        SLOT - timedelta(days=2, hours=14),
    )  # the jump is from before the slot to ten hours after it
    place.clock.start(before)
    async with monitored(place) as bot:
        await bot.until_ready()
        place.clock.start(before + three_days)
        await place.settled()
        await bot.until_ready()
        place.clock.start(before)
        await ticks(bot, 2)
        await bot.until_ready()
        place.clock.start(SLOT)
        await ticks(bot, 2)
        assert place.post_counts() == {1}
        place.clock.start(SLOT + WEEK)
        await place.settled(SLOT + WEEK)
        await bot.until_ready()
    first, second = place.posts(place.channels[0])
    assert first.text.splitlines()[0] != second.text.splitlines()[0]


async def ticks(bot: MonitoredBot, seconds: float) -> None:
    """Give the bot, which ticks each second, time to notice."""
    await asyncio.sleep(seconds)
    await bot.ready()
