"""`weekbot run` as a process that loses its gateway, its database, its content and its sense of time, and says so."""

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

SILENCE_SECONDS, HEARTBEAT_SECONDS = 2.0, 0.4  # of a gateway that plays dead, and between two of its heartbeats
LONGEST_WAIT_SECONDS = 60


@dataclass
class Watched:
    """A bot, and what it tells of itself."""

    place: Place
    bot: Bot
    session: aiohttp.ClientSession

    async def ready(self) -> tuple[int, dict[str, Any]]:
        async with self.session.get("/ready") as answer:
            return answer.status, (await answer.json())["conditions"]

    async def until(self, met: Callable[[int, dict[str, Any]], bool]) -> dict[str, Any]:
        """What it tells as soon as that is so; meanwhile, and in any case, it is alive."""
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
        """What it says of that condition, for which it is not ready."""
        said = await self.until(lambda status, each: status == 503 and not each[name]["met"])
        return str(said[name]["says"])

    async def metrics(self) -> str:
        async with self.session.get("/metrics") as answer:
            return await answer.text()


@asynccontextmanager
async def watched(place: Place, **more: str) -> AsyncIterator[Watched]:
    port = unused_port()
    more |= {"WEEKBOT_HEALTH_PORT": str(port), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    bot = await place.start(str(SILENCE_SECONDS), **more)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        try:
            await answering(session)
            yield Watched(place, bot, session)
        except BaseException:
            bot.kill()
            await bot.ended()
            raise
    assert await bot.stop() == 0, place.log[-2000:]


async def answering(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(LONGEST_WAIT_SECONDS):
        while True:
            try:
                async with session.get("/live"):
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)


@pytest.fixture
async def place(tmp_path: Path, url: str) -> AsyncIterator[Place]:
    async with furnished_in(tmp_path, url) as place:
        yield place


@asynccontextmanager
async def furnished_in(folder: Path, url: str) -> AsyncIterator[Place]:
    """With one channel that is subscribed."""
    async with place_in(folder, Random(0), url) as place:
        place.furnish(guilds=1, channels=1)
        place.server.gateway.heartbeat_interval = HEARTBEAT_SECONDS
        await place.subscribe(place.channels)
        yield place


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - no stranger chooses it


def run_or_skip(*command: str) -> None:
    """Skip the test where this may not be done."""
    try:
        run(*command)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"{' '.join(command[:2])}: {error}")


only_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


@only_sqlite
async def test_it_is_ready_while_the_gateway_is_there(place: Place) -> None:
    gateway = place.server.gateway
    gateway.down = True
    async with watched(place) as bot:
        assert "Not connected to Discord's gateway yet" in await bot.until_unmet("gateway")
        gateway.down = False
        await bot.until(lambda status, each: status == 200 and each["duty"]["says"] == "This process sends posts.")
        gateway.down, gateway.acknowledges = True, False  # it plays dead, and is away when it is looked for
        assert "shard 0. It reconnects automatically" in await bot.until_unmet("gateway")
        gateway.down, gateway.acknowledges = False, True
        await bot.until_ready()
        text = await bot.metrics()
    assert "weekbot_sends 1.0" in text
    assert sum(float(line.split()[1]) for line in text.splitlines() if "weekbot_gateway_reconnects_total{" in line) > 0


async def test_it_is_not_ready_while_its_database_takes_nothing(place: Place) -> None:
    async with watched(place) as bot:
        await bot.until_ready()
        with trouble(place):
            assert "Check that it runs" in await bot.until_unmet("database")
            assert "weekbot_deliveries_due NaN" in await bot.metrics()
        await bot.until_ready()
        place.clock.start(SLOT)
        await place.settled()
    assert place.numbers_of_posts() == {1}


@contextmanager
def trouble(place: Place) -> Iterator[None]:
    """SQLite's file is locked by somebody else; PostgreSQL cuts all sessions, and lets nobody begin another one."""
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


async def test_on_a_full_disk_it_says_so_and_posts_when_there_is_room_again(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
        async with furnished_in(tmp_path, f"sqlite:///{disk / 'weekbot.db'}") as place, watched(place) as bot:
            await bot.until_ready()
            with closing(sqlite3.connect(disk / "weekbot.db")) as other:  # else it has room in its log for a while
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with filled(disk):
                place.clock.start(SLOT)
                assert "disk is full" in await bot.until_unmet("database")
                assert "database or disk is full" in place.log
            await bot.until_ready()
            await place.settled()
        assert place.numbers_of_posts() == {1}


async def test_it_says_that_its_database_can_be_read_only_and_posts_when_it_can_be_written(
    tmp_path: Path, url: str
) -> None:
    with on_a_disk_of_its_own(tmp_path / "disk", url) as there:
        async with furnished_in(tmp_path, there) as place, watched(place) as bot:
            await bot.until_ready()
            with read_only(place):
                place.clock.start(SLOT)
                said = await bot.until_unmet("database")
                assert "read-only" in said or "disk I/O error" in said
                assert re.search("the database cannot be used|leader: The database is read-only", place.log)
            await bot.until_ready()
            await place.settled()
        assert place.numbers_of_posts() == {1}


@contextmanager
def on_a_disk_of_its_own(folder: Path, url: str) -> Iterator[str]:
    """SQLite's file on one whose immutable files nobody can write, not even who has them open, as a tmpfs would let."""
    if not url.startswith("sqlite"):
        yield url
        return
    image = folder.with_suffix(".img")
    run_or_skip("mkfs.ext4", "-q", str(image), "16m")
    with mounted(folder, "-o", "loop", str(image)):
        yield f"sqlite:///{folder / 'weekbot.db'}"


@contextmanager
def mounted(folder: Path, *what: str) -> Iterator[None]:
    folder.mkdir()
    run_or_skip("mount", *what, str(folder))
    try:
        yield
    finally:
        run("umount", str(folder))


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Until nothing goes onto it any more."""
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
    """Immutable files; sessions of PostgreSQL that are for reading."""
    if place.database.is_sqlite:
        # Who writes to the mapped `-shm` of a file that became immutable would die of it, once it is on the disk.
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
async def test_without_its_content_folder_it_stays_ready_with_the_last_good_content_and_says_so(place: Place) -> None:
    folder = place.folder / "content"
    shutil.copytree(CONTENT, folder)
    async with watched(place, WEEKBOT_CONTENT_DIR=str(folder)) as bot:
        await bot.until_ready()
        shutil.rmtree(folder)
        said = await bot.until(lambda _, conditions: "last valid version" in conditions["content"]["says"])
        assert said["content"]["met"]
        assert (await bot.ready())[0] == 200
        assert "weekbot_content_topics 62.0" in await bot.metrics()
        place.clock.start(SLOT)
        await place.settled()
    assert place.numbers_of_posts() == {1}


@only_sqlite
async def test_a_clock_that_jumps_three_days_ahead_and_back_loses_and_doubles_no_post(place: Place) -> None:
    three_days, before = timedelta(days=3), SLOT - timedelta(days=2, hours=14)  # ten hours after the slot, or before it
    place.clock.start(before)
    async with watched(place) as bot:
        await bot.until_ready()
        place.clock.start(before + three_days)
        await place.settled()
        await bot.until_ready()
        place.clock.start(before)
        await ticks(bot, 2)
        await bot.until_ready()
        place.clock.start(SLOT)
        await ticks(bot, 2)
        assert place.numbers_of_posts() == {1}
        place.clock.start(SLOT + WEEK)
        await place.settled(SLOT + WEEK)
        await bot.until_ready()
    first, second = place.posts(place.channels[0])
    assert first.text.splitlines()[0] != second.text.splitlines()[0]


async def ticks(bot: Watched, seconds: float) -> None:
    """Time for the bot, which looks each second, to notice."""
    await asyncio.sleep(seconds)
    await bot.ready()
