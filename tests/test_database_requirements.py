"""Requirements on the operator's database: a recent PostgreSQL, or a disk that allows SQLite's write-ahead log."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from weekbot.cli.main import cli
from weekbot.db import sqlite
from weekbot.db.database import Database
from weekbot.ops.doctor.database import Records
from weekbot.runtime.errors import WeekbotError

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


async def refusals(url: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the messages of `weekbot db upgrade` and `weekbot doctor`."""
    monkeypatch.setenv("WEEKBOT_DATABASE_URL", url)
    with pytest.raises(WeekbotError) as refused:
        await asyncio.to_thread(CliRunner().invoke, cli, ["db", "upgrade"], catch_exceptions=False)
    async with aclosing(Records(url)) as records:
        with pytest.raises(WeekbotError) as found:
            _ = [finding async for finding in records.check()]
    return {str(refused.value), str(found.value)}


# PostgreSQL


@pytest.fixture
def old_server(url: str) -> None:
    """Make the server report that it is PostgreSQL 13."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA stand_in")
        connection.execute(
            "CREATE FUNCTION stand_in.current_setting(name text) RETURNS text LANGUAGE sql AS"
            " $$ SELECT CASE name WHEN 'server_version_num' THEN '130021' WHEN 'server_version' THEN '13.21'"
            " ELSE pg_catalog.current_setting(name) END $$"
        )
        name = sql.Identifier(str(make_url(url).database))
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path = stand_in, pg_catalog, public").format(name))


@on_postgresql
@pytest.mark.usefixtures("old_server")
async def test_an_old_postgresql_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await refusals(url, monkeypatch) == {
        "PostgreSQL 13.21 is too old for weekbot; upgrade the server to PostgreSQL 14 or newer."
    }


# SQLite


@pytest.fixture
def network_disk(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a network file system with SQLite's `unix-dotfile` VFS, which has no shared memory.

    The database of `url` was created on a local disk.
    """
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect_without_shared_memory(name: str, **more: Any) -> sqlite3.Connection:
        uri = name if name.startswith("file:") else f"{Path(name).absolute().as_uri()}?mode=rwc"
        return connect(f"{uri}&vfs=unix-dotfile", **more | {"uri": True})

    monkeypatch.setattr(sqlite3, "connect", connect_without_shared_memory)


@pytest.fixture
def file(url: str) -> Path:
    return Path(str(make_url(url).database))


@pytest.fixture
def no_file(file: Path) -> None:
    file.unlink()


def names_beside(file: Path) -> list[str]:
    return [each.name for each in file.parent.iterdir()]


@on_sqlite
@pytest.mark.usefixtures("network_disk")
@pytest.mark.parametrize("exists", [False, True])
async def test_a_disk_without_write_ahead_logging_is_refused(
    url: str, file: Path, exists: bool, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exists:
        request.getfixturevalue("no_file")
    assert await refusals(url, monkeypatch) == {
        f"SQLite can't use write-ahead logging for {file}, as on a network file system; keep the database on a local "
        "disk, or use PostgreSQL."
    }
    assert names_beside(file) == [file.name] * exists


@on_sqlite
@pytest.mark.usefixtures("network_disk", "no_file")
async def test_a_single_file_on_a_network_disk_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the file even if its folder is on a local disk, as with a file mounted into a container."""
    monkeypatch.setattr(sqlite, "_check_folder", lambda _: None)
    async with Database(url) as database:
        with pytest.raises(WeekbotError, match="can't use write-ahead logging"):
            await database.upgrade()
