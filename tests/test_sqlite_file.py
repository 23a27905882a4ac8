"""SQLite's database file: the contents of a plain copy, and its permissions."""

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from processes import Place, place_in
from weekbot.cli.main import cli
from weekbot.db.database import Database
from weekbot.store.metadata import Metadata


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weekbot.db"


@pytest.fixture
async def database(file: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite:///{file}") as database:
        yield database


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def query_copy(file: Path, query: str) -> list[Any]:
    """Run the query on a copy of this file alone, as `cp weekbot.db` creates it."""
    copy = shutil.copy(file, file.with_name("copy.db"))
    with closing(sqlite3.connect(copy)) as connection:
        return [row[0] for row in connection.execute(query)]


def modes(file: Path) -> dict[str, str]:
    return {each.name: f"{each.stat().st_mode & 0o777:o}" for each in file.parent.glob(f"{file.name}*")}


# A plain copy


async def test_a_copy_of_a_new_database_has_its_tables(database: Database, file: Path) -> None:
    await database.upgrade()
    await Metadata(database).get("commands")  # the database is in use
    assert "deliveries" in query_copy(file, "SELECT name FROM sqlite_master")


async def test_a_copy_has_all_commits_before_the_last_checkpoint(database: Database, file: Path) -> None:
    await database.upgrade()
    await Metadata(database).put("commands", "x")
    await database.checkpoint()
    assert query_copy(file, "SELECT value FROM facts WHERE name = 'commands'") == ["x"]


async def test_a_checkpoint_does_not_wait_for_readers_or_writers(database: Database, file: Path) -> None:
    await database.upgrade()
    async with database.read() as reading, database.write():
        await reading.exec_driver_sql("SELECT count(*) FROM facts")
        await database.checkpoint()
    await Metadata(database).put("commands", "x")


async def test_closing_the_database_leaves_only_the_main_file(file: Path) -> None:
    async with Database(f"sqlite:///{file}") as database:
        await database.upgrade()
        await Metadata(database).put("commands", "x")
    assert list(modes(file)) == [file.name]
    assert query_copy(file, "SELECT value FROM facts WHERE name = 'commands'") == ["x"]


# Permissions


@pytest.mark.usefixtures("open_umask")
async def test_only_its_owner_can_read_a_new_database(database: Database, file: Path) -> None:
    await database.upgrade()
    await Metadata(database).put("commands", "x")
    assert modes(file) == dict.fromkeys((file.name, f"{file.name}-wal", f"{file.name}-shm"), "600")


@pytest.mark.usefixtures("open_umask")
@pytest.mark.parametrize(("before", "after"), [(0o644, "600"), (0o664, "600"), (0o640, "640"), (0o600, "600")])
async def test_an_older_database_becomes_unreadable_to_others_but_not_to_its_group(
    database: Database, file: Path, before: int, after: str
) -> None:
    await database.upgrade()
    await Metadata(database).put("commands", "x")
    for each in file.parent.iterdir():
        each.chmod(before)
    async with Database(f"sqlite:///{file}") as again:
        await again.upgrade()
    assert modes(file) == dict.fromkeys((file.name, f"{file.name}-wal", f"{file.name}-shm"), after)


@pytest.mark.usefixtures("open_umask")
async def test_only_its_owner_can_read_a_backup_and_a_restored_database(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.upgrade()
    await database.close()
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", f"sqlite:///{file}")
    backup = file.with_name("backup.db")
    for command in (["db", "backup", str(backup)], ["db", "restore", str(backup), "--force"]):
        await asyncio.to_thread(CliRunner().invoke, cli, command, catch_exceptions=False)
    assert modes(backup) == {"backup.db": "600"}
    assert modes(file)[file.name] == "600"


# A killed process


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


@pytest.mark.long
async def test_a_copy_of_the_file_has_the_subscription_after_a_kill(place: Place, file: Path) -> None:
    channel = place.guild.add_text_channel("weekly")
    bot = await place.start(sys.executable, "-m", "weekbot", "run")
    await place.server.ready()
    await place.server.interact(channel, "weekly subscribe")
    query = "SELECT channel_id FROM subscriptions"
    async with asyncio.timeout(60):
        while query_copy(file, query) != [channel.id]:  # noqa: ASYNC110 - the checkpoint is periodic
            await asyncio.sleep(0.2)
    bot.kill()
    await bot.communicate()
    assert query_copy(file, query) == [channel.id]
