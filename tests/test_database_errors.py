"""Errors of an unavailable, full or locked database are distinguished from bugs in weekbot."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError

from fakes import FakeClock
from simulation import SIMULATED_ON, simulated
from weekbot.db import sqlite
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnavailableError
from weekbot.store.metadata import Metadata

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


async def run(database: Database, *statements: str) -> None:
    async with database.write() as connection:
        for statement in statements:
            await connection.execute(text(statement))


@on_postgresql
async def test_a_terminated_session_raises_database_unavailable_error(database: Database) -> None:
    with pytest.raises(DatabaseUnavailableError) as error:
        await run(database, "SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1")
    assert "terminating connection" in error.value.reason
    assert "\n" not in error.value.reason
    await Metadata(database).put("and", "back again")


async def test_an_unreachable_server_raises_database_unavailable_error() -> None:
    database = Database("postgresql://127.0.0.1:1/weekbot")
    with pytest.raises(DatabaseUnavailableError):
        await Metadata(database).get("commands")
    await database.close()


@on_sqlite
async def test_a_locked_file_raises_database_unavailable_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_PRAGMAS", ["PRAGMA busy_timeout=50"])
    database, file = Database(url), make_url(url).database
    assert file
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailableError) as error:
            await Metadata(database).put("commands", "x")
        other.execute("ROLLBACK")
    other.close()
    assert "locked" in error.value.reason
    await Metadata(database).put("commands", "x")
    await database.close()


@on_sqlite
async def test_a_read_only_file_raises_database_unavailable_error(database: Database) -> None:
    with pytest.raises(DatabaseUnavailableError) as error:
        await run(database, "PRAGMA query_only = on", "DELETE FROM facts")
    assert "readonly" in error.value.reason


@pytest.mark.parametrize("statement", ["SELECT * FROM nowhere", "SELEKT 1", "SELECT nothing FROM facts"])
async def test_an_invalid_statement_raises_dbapi_error(database: Database, statement: str) -> None:
    with pytest.raises(DBAPIError):
        await run(database, statement)


async def test_a_violated_constraint_raises_integrity_error(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await run(database, *["INSERT INTO facts (name, value) VALUES ('a', 'b')"] * 2)


# The response


@pytest.mark.skipif(SIMULATED_ON != "sqlite", reason="makes an SQLite file read-only")
async def test_a_member_is_asked_to_try_again_without_an_incident_id(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated(tmp_path, clock) as simulation:
        engine = simulation.app.repositories.guilds._database.engine
        await engine.dispose()
        monkeypatch.setattr(sqlite, "_PRAGMAS", ["PRAGMA query_only=ON"])
        answer = await simulation.slash("weekly subscribe")
        await engine.dispose()
    assert answer.text == "I cannot use my database right now. Try again in a minute."
    assert answer.private
