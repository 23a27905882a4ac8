"""`weekbot db backup` and `db restore`: one file with an SQLite database, backed up while a bot runs."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fakes import MONDAY
from weekbot.cli.main import cli
from weekbot.cli.output_file import atomic_output
from weekbot.cluster.process_lock import process_lock
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnusableError
from weekbot.db.snapshot_marker import TAKEN_AT
from weekbot.runtime.errors import WeekbotError
from weekbot.store.metadata import Metadata
from weekbot.transfer.backup import NotABackupError, back_up, restore

pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.db"


def backed_up(database: Database, file: Path) -> Path:
    with atomic_output(file, force=True) as copy:
        back_up(database, copy, MONDAY)
    return file


def dump(path: Path) -> list[str]:
    """Dump everything but the snapshot marker."""
    with closing(sqlite3.connect(path)) as connection:
        return [line for line in connection.iterdump() if TAKEN_AT not in line]


def marker_of(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT value FROM facts WHERE name = ?", [TAKEN_AT])]


def test_a_backup_is_one_file_with_everything_and_a_marker(source: Database, file: Path) -> None:
    backed_up(source, file)
    assert dump(file) == dump(Path(source.name))
    assert (marker_of(file), marker_of(Path(source.name))) == ([MONDAY.isoformat()], [])
    assert sorted(path.name for path in file.parent.glob("*backup*")) == ["backup.db"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_backup_does_not_delay_a_concurrent_writer(
    source: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weekbot.transfer.backup.PAGES", 1)
    before, commits = dump(Path(source.name)), 0
    with closing(sqlite3.connect(source.name, timeout=0, isolation_level=None)) as writer:

        def write(*_: object) -> None:
            nonlocal commits
            writer.execute("INSERT INTO facts VALUES (?, 'x')", [f"meanwhile-{commits}"])
            commits += 1

        class WritingConnection(sqlite3.Connection):
            """Writes after each copied page."""

            def backup(self, target: sqlite3.Connection, *, pages: int) -> None:  # type: ignore[override]
                super().backup(target, pages=pages, progress=write)

        write()
        monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=WritingConnection))
        backed_up(source, file)
    found = dump(file)
    kept = [line for line in found if "meanwhile" in line]
    assert [line for line in found if line not in kept] == before
    numbers = [number for number in range(commits) if any(f"'meanwhile-{number}'" in line for line in kept)]
    assert numbers == list(range(len(kept))), "the backup is not a snapshot"
    assert len(kept) == 1, "only the row from before the backup"
    assert commits > 20


async def test_a_bot_can_start_with_a_backup_while_the_first_one_runs(source: Database, file: Path) -> None:
    async with process_lock(source):
        database = Database(f"sqlite:///{backed_up(source, file)}")
        await database.upgrade()
        assert await Metadata(database).get("commands") == await Metadata(source).get("commands")
        await database.close()


async def test_a_restored_database_equals_the_backup(source: Database, file: Path) -> None:
    backed_up(source, file)
    before = dump(file)
    await Metadata(source).put("commands", "changed")
    await source.close()
    target = Path(source.name)
    wal = target.with_name(f"{target.name}-wal")
    wal.write_bytes(b"of the previous file")
    with atomic_output(target, force=True) as copy:
        restore(source, file, copy)
    assert dump(target) == before
    assert marker_of(target) == [MONDAY.isoformat()]
    assert not wal.exists() or wal.stat().st_size == 0
    assert dump(file) == before


async def test_a_copy_made_by_other_means_is_marked_with_its_last_slot(source: Database, tmp_path: Path) -> None:
    await source.close()
    with atomic_output(tmp_path / "there.db", force=False) as copy:
        restore(Database(f"sqlite:///{tmp_path / 'there.db'}"), Path(source.name), copy)
    [marker] = marker_of(tmp_path / "there.db")
    assert marker == "2026-11-23T09:00:00+00:00"


def test_a_copy_of_an_unused_copy_keeps_the_first_marker(source: Database, file: Path) -> None:
    backed_up(source, file)
    with atomic_output(file.with_name("again.db"), force=False) as copy:
        back_up(Database(f"sqlite:///{file}"), copy, MONDAY.replace(year=2030))
    assert marker_of(file.with_name("again.db")) == [MONDAY.isoformat()]


def damage(path: Path) -> None:
    """Damage a page of a table."""
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 12] = b"\xaa" * (4096 * 9)
    path.write_bytes(data)


def make_foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (text)")


def make_newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


INVALID_BACKUPS = {
    "damaged": (damage, "damaged|malformed"),
    "text": (lambda path: path.write_text("hello" * 1000), "file is not a database"),
    "foreign": (make_foreign, "isn't a weekbot database"),
    "newer": (make_newer, "newer weekbot"),
    "missing": (lambda path: path.unlink(), "unable to open"),
}


@pytest.mark.parametrize(("make", "sentence"), INVALID_BACKUPS.values(), ids=INVALID_BACKUPS)
async def test_a_file_that_is_not_a_backup_replaces_nothing(
    source: Database, file: Path, make: Any, sentence: str
) -> None:
    make(backed_up(source, file))
    await source.close()
    before = dump(Path(source.name))
    refused = pytest.raises((NotABackupError, DatabaseUnusableError), match=sentence)
    with refused, atomic_output(Path(source.name), force=True) as copy:
        restore(source, file, copy)
    assert dump(Path(source.name)) == before
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".part"] == []


async def test_a_damaged_database_is_not_backed_up(source: Database, file: Path) -> None:
    await source.close()
    damage(Path(source.name))
    with pytest.raises(WeekbotError, match=r"damaged|malformed"):
        backed_up(source, file)
    assert not list(file.parent.glob("*backup*"))


# The command line


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, env={"WEEKBOT_DATABASE_URL": url})


def sentence_of(result: Result) -> str:
    assert isinstance(result.exception, WeekbotError), result.exception
    return str(result.exception)


def test_backups_and_exports_can_be_copied_in_both_directions(source: Database, tmp_path: Path) -> None:
    url, other = f"sqlite:///{source.name}", f"sqlite:///{tmp_path / 'other.db'}"
    backup, lines = str(tmp_path / "backup.db"), str(tmp_path / "lines.jsonl")
    assert run(url, "db", "backup", backup).exit_code == 0
    assert run(url, "export", lines).exit_code == 0
    assert stat.S_IMODE(Path(lines).stat().st_mode) == 0o600
    assert "already exists" in sentence_of(run(url, "export", lines))
    assert "already exists" in sentence_of(run(url, "db", "backup", backup))
    assert run(url, "export", lines, "--force").exit_code == 0
    assert run(other, "db", "restore", backup).exit_code == 0
    assert "already exists" in sentence_of(run(other, "db", "restore", backup))
    assert run(other, "db", "restore", backup, "--force").exit_code == 0
    assert "contains other data" in sentence_of(run(other, "import", lines))
    assert run(f"sqlite:///{tmp_path / 'third.db'}", "import", lines).exit_code == 0


def test_stdout_contains_only_the_export(source: Database, tmp_path: Path) -> None:
    result = run(f"sqlite:///{source.name}", "export", "-")
    (tmp_path / "lines.jsonl").write_bytes(result.stdout_bytes)
    assert run(f"sqlite:///{tmp_path / 'other.db'}", "import", str(tmp_path / "lines.jsonl")).exit_code == 0


async def test_nothing_is_restored_while_a_bot_runs(source: Database, file: Path) -> None:
    backed_up(source, file)
    before, url = dump(Path(source.name)), f"sqlite:///{source.name}"
    async with process_lock(source):
        result = await asyncio.to_thread(run, url, "db", "restore", str(file), "--force")
    assert "Another weekbot is running" in sentence_of(result)
    assert dump(Path(source.name)) == before


@pytest.mark.parametrize("arguments", [("db", "backup", "x"), ("db", "restore", "x")])
def test_postgresqls_own_tool_is_suggested_for_postgresql(url: str, arguments: tuple[str, ...]) -> None:
    assert "use pg_" in sentence_of(run("postgresql://weekbot@nowhere/weekbot", *arguments))


@pytest.mark.parametrize("arguments", [("db", "backup", "{}/new"), ("export", "{}/new"), ("export", "-")])
def test_a_missing_database_is_not_created(url: str, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    missing = tmp_path / "missing.db"
    message = sentence_of(run(f"sqlite:///{missing}", *(each.format(tmp_path) for each in arguments)))
    assert "There is no database" in message
    assert not missing.exists()
    assert not (tmp_path / "new").exists()


def test_a_missing_folder_is_an_error(source: Database, tmp_path: Path) -> None:
    message = sentence_of(run(f"sqlite:///{source.name}", "export", str(tmp_path / "no" / "file")))
    assert "cannot be written: No such file or directory" in message
    assert "cannot be read" in sentence_of(run(f"sqlite:///{source.name}", "import", str(tmp_path / "no")))
