"""`weekbot export` and `import` between SQLite and PostgreSQL: all data is imported, or nothing."""

import asyncio
import hashlib
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fakes import GUILD, MONDAY, Bot, FakeClock
from postgres import empty_database_url
from weekbot.cluster.process_lock import InUseError, process_lock
from weekbot.content.library import Library
from weekbot.db.database import Database
from weekbot.db.tables import metadata_entries, progress
from weekbot.domain.progress import Progress
from weekbot.runtime.errors import WeekbotError
from weekbot.store.guilds import Guilds
from weekbot.store.members import Members
from weekbot.store.subscriptions import Subscriptions
from weekbot.transfer.export_import import NotAnExportError, export, import_
from weekbot.transfer.table_rows import BATCH, TABLES, NotCopiedError

Change = Callable[[list[bytes]], None]


@pytest.fixture(params=["sqlite", "postgresql"])
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with empty_database_url(request.param, tmp_path, "target.db") as url:
        yield url


@pytest.fixture
async def target(target_url: str) -> AsyncIterator[Database]:
    async with Database(target_url) as database:
        yield database


def no_progress(_: str) -> None:
    pass


async def export_of(database: Database) -> io.BytesIO:
    file = io.BytesIO()
    await export(database, file, MONDAY)
    return file


async def all_rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables, without local metadata_entries and the snapshot marker."""
    found = {}
    async with database.read() as connection:
        for table in TABLES:
            query = select(table)
            if table is metadata_entries:
                query = query.where(metadata_entries.c.name.not_in(["copied", "term", "copy_taken_at"]))
            found[table.name] = sorted((tuple(row) for row in await connection.execute(query)), key=str)
    return found


async def test_everything_is_imported_between_any_two_databases(source: Database, target: Database) -> None:
    file = await export_of(source)
    await import_(target, file, no_progress)
    assert await all_rows(target) == await all_rows(source)
    assert all((await all_rows(target)).values())
    async with target.read() as connection:
        marker = await connection.scalar(
            select(metadata_entries.c.value).where(metadata_entries.c.name == "copy_taken_at")
        )
    assert marker == MONDAY.isoformat()


async def test_the_lines_are_a_header_the_rows_and_a_checksum(source: Database) -> None:
    lines = (await export_of(source)).getvalue().splitlines(keepends=True)
    head, *rows, last = map(json.loads, lines)
    assert (head["format"], head["version"], head["taken_at"]) == ("weekbot export", 1, MONDAY.isoformat())
    assert [each["table"] for each in rows] == [name for name, count in head["rows"].items() for _ in range(count)]
    assert last == {"sha256": hashlib.sha256(b"".join(lines[:-1])).hexdigest()}


class SignallingFile(io.BytesIO):
    """Signals that the first line is written."""

    def __init__(self, on_first_write: Callable[[], None]) -> None:
        super().__init__()
        self._on_first_write = on_first_write

    def write(self, data: Any) -> int:
        if not self.tell():
            self._on_first_write()
        return super().write(data)


async def test_an_export_is_a_snapshot_while_a_bot_writes(source: Database, url: str) -> None:
    """Rows written after the export's first line are not in it, even if their table comes later."""
    before = (await export_of(source)).getvalue()

    async def record_progress() -> None:
        other = Database(url)
        await Members(other).add(Progress(5, "flask", MONDAY, None, None))
        await other.close()

    def write_in_thread() -> None:
        thread = threading.Thread(target=asyncio.run, args=[record_progress()])
        thread.start()
        thread.join()

    async with process_lock(source):
        file = SignallingFile(write_in_thread)
        await export(source, file, MONDAY)
    assert file.getvalue() == before
    assert (await export_of(source)).getvalue() != before


@pytest.mark.parametrize("target_url", ["sqlite"], indirect=True)
async def test_many_rows_are_imported_in_batches(source: Database, target: Database) -> None:
    async with source.write() as connection:
        rows = [{"member_id": 1000 + number, "topic": "flask", "finished_at": MONDAY} for number in range(BATCH + 1)]
        await connection.execute(progress.insert(), rows)
    await import_(target, await export_of(source), no_progress)
    assert await all_rows(target) == await all_rows(source)


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"], ids=["", "with a byte order mark"])
async def test_an_export_with_windows_line_endings_is_imported(
    source: Database, target: Database, prefix: bytes
) -> None:
    content = (await export_of(source)).getvalue()
    await import_(target, io.BytesIO(prefix + content.replace(b"\n", b"\r\n")), no_progress)
    assert await all_rows(target) == await all_rows(source)


def cut(lines: list[bytes]) -> None:
    del lines[-3:]


def cut_within(lines: list[bytes]) -> None:
    lines[-1] = lines[-1][:-10]


def edited(lines: list[bytes]) -> None:
    [index] = [number for number, line in enumerate(lines) if b"digest" in line]
    lines[index] = lines[index].replace(b"digest", b"DIGEST")


def one_more(lines: list[bytes]) -> None:
    lines.append(lines[-1])


def endless(lines: list[bytes]) -> None:
    lines[1] = b"x" * (1 << 21)


def foreign(lines: list[bytes]) -> None:
    lines[:] = [b'{"hello": "world"}\n'] * 3


def binary(lines: list[bytes]) -> None:
    lines[:] = [b"\x89PNG\r\n", b"\xff\xfe\n"]


def empty(lines: list[bytes]) -> None:
    lines.clear()


def change_header(**changed: Any) -> Change:
    def change(lines: list[bytes]) -> None:
        lines[0] = json.dumps(json.loads(lines[0]) | changed).encode() + b"\n"

    change.__name__ = f"header_{'_'.join(changed)}"
    return change


INVALID_FILES = {
    cut: r"^Line \d+: the export has \d+ of \d+ lines; it was cut off",
    cut_within: r"^Line \d+: .*cut off",
    edited: r"^Line \d+: the checksum",
    one_more: r"^Line \d+: the export has \d+ of \d+ lines",
    endless: "^Line 2: the line is longer",
    foreign: "^Line 1: this isn't a weekbot export",
    binary: "^Line 1: this isn't a line of JSON",
    empty: "^Line 1: the file is empty",
    change_header(version=2): "^Line 1: this version of weekbot doesn't know this kind of export",
    change_header(
        revision="0007"
    ): "^Line 1: the export is of revision 0007 .* import it with the version that wrote it",
    change_header(rows={"guilds": "many"}): "^Line 1: this isn't a weekbot export",
    change_header(rows={"guilds": 1}): "^Line 1: the tables are not those",
    change_header(taken_at="soon"): "^Line 1: this isn't a weekbot export",
    change_header(taken_at="2026-11-23T08:00:00"): "^Line 1: this isn't a weekbot export",
}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("target_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("change", "sentence"), INVALID_FILES.items(), ids=[change.__name__ for change in INVALID_FILES]
)
async def test_an_invalid_file_creates_no_database(
    source: Database, target: Database, change: Change, sentence: str
) -> None:
    lines = (await export_of(source)).getvalue().splitlines(keepends=True)
    change(lines)
    with pytest.raises(NotAnExportError, match=sentence):
        await import_(target, io.BytesIO(b"".join(lines)), no_progress)
    assert not await target.exists()


def with_checksum(lines: list[bytes]) -> io.BytesIO:
    body = b"".join(lines[:-1])
    return io.BytesIO(body + json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n")


INVALID_ROWS: dict[str, Callable[[dict[str, Any]], object]] = {
    "of another table": lambda line: line.update(table="steps"),
    "without a column": lambda line: line["row"].popitem(),
    "of another type": lambda line: line["row"].update(guild_id="1"),
    "without a value": lambda line: line["row"].update(timezone=None),
    "not a row": lambda line: line.update(row=[1]),
}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("change_row", INVALID_ROWS.values(), ids=INVALID_ROWS)
async def test_an_invalid_row_is_reported_and_nothing_is_imported(
    source: Database, target: Database, change_row: Callable[[dict[str, Any]], object]
) -> None:
    lines = (await export_of(source)).getvalue().splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if b'"guilds","row"' in line)
    line = json.loads(lines[number])
    change_row(line)
    lines[number] = json.dumps(line).encode() + b"\n"
    with pytest.raises(NotAnExportError, match=rf"^Line {number + 1}: this isn't a row of the table guilds"):
        await import_(target, with_checksum(lines), no_progress)
    assert not any((await all_rows(target)).values())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_nothing_is_imported_if_a_table_rejects_a_row(source: Database, target: Database) -> None:
    lines = (await export_of(source)).getvalue().splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if b'"guilds","row"' in line)
    lines.insert(number, lines[number])
    first = json.loads(lines[0])
    first["rows"]["guilds"] += 1
    lines[0] = json.dumps(first).encode() + b"\n"
    with pytest.raises(NotCopiedError, match=r"The table guilds rejects its rows: .*(UNIQUE|unique)"):
        await import_(target, with_checksum(lines), no_progress)
    assert not any((await all_rows(target)).values())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_only_an_empty_database_or_an_unused_copy_is_overwritten(source: Database, target: Database) -> None:
    file = await export_of(source)
    await import_(target, file, no_progress)
    await import_(target, file, no_progress)
    assert await all_rows(target) == await all_rows(source)
    await Guilds(target).set_notice_channel(GUILD, 77)
    used = await all_rows(target)
    with pytest.raises(WeekbotError, match="used since"):
        await import_(target, file, no_progress)
    assert await all_rows(target) == used


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_nothing_is_imported_if_the_import_is_interrupted(source: Database, target: Database) -> None:
    def interrupted(line: str) -> None:
        if line.startswith("deliveries"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await import_(target, await export_of(source), interrupted)
    assert not any((await all_rows(target)).values())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_nothing_is_imported_while_a_bot_runs(source: Database, target: Database, target_url: str) -> None:
    await target.upgrade()
    running = Database(target_url)
    async with process_lock(running):
        with pytest.raises(InUseError):
            await import_(target, await export_of(source), no_progress)
    await running.close()
    assert not any((await all_rows(target)).values())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_new_subscriptions_continue_after_the_highest_number(
    source: Database, target: Database, target_url: str, library: Library, clock: FakeClock
) -> None:
    await import_(target, await export_of(source), no_progress)
    bot = Bot(target_url, library, clock)
    assert (await bot.subscribe(99)).id == 1 + max(each.id for each in await Subscriptions(source).of_guild(GUILD))
    await bot.process.close()


async def test_an_outdated_database_is_not_export_of(source: Database) -> None:
    async with source.write() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(WeekbotError, match="Run `weekbot db upgrade`"):
        await export_of(source)


class FullDisk(io.BytesIO):
    def write(self, data: Any) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_full_disk_is_an_error(source: Database) -> None:
    with pytest.raises(WeekbotError, match="The export cannot be written: No space left on device"):
        await export(source, FullDisk(), MONDAY)
