"""All state as JSON Lines: a line that says what it is, a line a row, and a last one by which it is known as whole."""

import hashlib
import json
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Any, BinaryIO, Self

from sqlalchemy import Boolean, Column, Date, Integer, Table

from weekbot.errors import WeekbotError
from weekbot.store.contents import (
    AT_ONCE,
    TABLES,
    Contents,
    Rows,
    check_revision,
    check_there,
    check_unused,
    clear,
    contents,
    count,
    mark_copied,
    put_table,
    rows_of,
)
from weekbot.store.database import Database
from weekbot.store.revision import LATEST
from weekbot.store.sole_use import sole_use
from weekbot.store.stamp import stamp
from weekbot.store.tables import UtcDateTime, facts

FORMAT, VERSION = "weekbot export", 1
LONGEST_LINE = 1 << 20  # bytes; the longest values are reasons and single facts


class NotAnExportError(WeekbotError):
    """The file cannot be imported."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"Line {line}: {reason}. Nothing was imported.")


@dataclass(frozen=True)
class Header:
    """`rows` counts those of each table, `taken_at` is an instant at which all of them were so."""

    taken_at: datetime
    rows: dict[str, int]
    revision: str = LATEST

    def line(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "revision": self.revision,
            "taken_at": self.taken_at.isoformat(),
            "rows": self.rows,
        }

    @classmethod
    def of(cls, line: Any) -> Self:
        """Raises NotAnExportError."""
        try:
            named = (line["format"], line["version"])
            header = cls(datetime.fromisoformat(line["taken_at"]), dict(line["rows"]), line["revision"])
            if header.taken_at.tzinfo is None or not all(type(each) is int for each in header.rows.values()):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise NotAnExportError(1, "this isn't a weekbot export") from None
        if named != (FORMAT, VERSION):
            raise NotAnExportError(1, "this version of weekbot doesn't know this kind of export")
        if header.revision != LATEST:
            raise NotAnExportError(
                1,
                f"the export is of revision {header.revision} of the schema, this version of weekbot has {LATEST};"
                " import it with the version that wrote it, and run `weekbot db upgrade` with this one",
            )
        if header.rows.keys() != {table.name for table in TABLES}:
            raise NotAnExportError(1, "the tables are not those of this version of weekbot")
        return header


async def export(database: Database, file: BinaryIO, now: datetime) -> int:
    """Write all rows, as they were at one moment, also beside a bot that runs; how many they were.

    Raises WeekbotError where the database is not there, or not up to date.
    """
    check_there(database)
    lines = _Writer(file)
    with database.used():
        async with database.read() as connection:
            await check_revision(connection)
            rows = {table.name: await count(connection, table) for table in TABLES}
            lines.write(Header(now, rows).line())
            for table in TABLES:
                async for batch in rows_of(connection, table):
                    for row in batch:
                        lines.write({"table": table.name, "row": _written(table, row)})
    lines.write({"sha256": lines.digest.hexdigest()})
    return sum(rows.values())


@dataclass
class _Writer:
    file: BinaryIO
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, line: dict[str, Any]) -> None:
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.digest.update(data)
        try:
            self.file.write(data)
        except OSError as error:
            raise WeekbotError(f"The export cannot be written: {error.strerror}.") from error


def _written(table: Table, row: Sequence[Any]) -> dict[str, Any]:
    return {
        column.name: value.isoformat() if isinstance(value, date) else value
        for column, value in zip(table.columns, row, strict=True)
    }


async def import_(database: Database, file: BinaryIO, tell: Callable[[str], None]) -> None:
    """Put all rows of an export into an empty database, or over an unused copy, in one transaction, or none of them.

    The file is read twice: a database is opened only for one that is whole. Raises NotAnExportError, InUseError where
    a bot runs with the database, and WeekbotError where it holds something else.
    """
    header = check(file)
    await database.upgrade()
    async with sole_use(database), database.write() as connection:
        await check_unused(connection)
        await clear(connection)
        put, rows = dict[Table, Contents](), _Rows(file)
        for table in TABLES:
            put[table] = await put_table(connection, table, rows.of(table, header.rows[table.name]))
            tell(f"{table.name}: {put[table].rows:,} rows")
        await stamp(connection, header.taken_at)
        await mark_copied(connection, put | {facts: await contents(connection, facts)})


def check(file: BinaryIO) -> Header:
    """Whether a file is a whole export, as it was written. Raises NotAnExportError."""
    digest, header, number, last = hashlib.sha256(), None, 0, b""
    for number, line in _lines(file):
        header = header or Header.of(_parsed(number, line))
        digest.update(last)
        last = line
    if header is None:
        raise NotAnExportError(1, "the file is empty")
    if number != sum(header.rows.values()) + 2 or not last.endswith(b"\n"):
        expected = sum(header.rows.values()) + 2
        raise NotAnExportError(number, f"the export has {number:,} of {expected:,} lines; it was cut off, or changed")
    if _parsed(number, last) != {"sha256": digest.hexdigest()}:
        raise NotAnExportError(number, "the checksum doesn't match the lines before it; one of them was changed")
    return header


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers from 1, without the byte order mark and CRLF line ends that editors may add."""
    file.seek(0)
    if file.read(len(BOM_UTF8)) != BOM_UTF8:
        file.seek(0)
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise NotAnExportError(number, "the line is longer than any line of an export")
        yield number, line[:-2] + b"\n" if line.endswith(b"\r\n") else line


def _parsed(number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise NotAnExportError(number, "this isn't a line of JSON") from None


class _Rows:
    """The rows of a file that was checked, table after table."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = islice(_lines(file), 1, None)

    async def of(self, table: Table, expected: int) -> AsyncIterator[Rows]:
        """Of the table the next so many. Raises NotAnExportError where one is of another table."""
        for start in range(0, expected, AT_ONCE):
            lines = islice(self._lines, min(AT_ONCE, expected - start))
            yield [_row(table, number, _parsed(number, line)) for number, line in lines]


def _row(table: Table, number: int, line: Any) -> list[Any]:
    try:
        if line["table"] != table.name or line["row"].keys() != set(table.columns.keys()):
            raise ValueError
        return [_read(column, line["row"][column.name]) for column in table.columns]
    except (KeyError, TypeError, AttributeError, ValueError):
        raise NotAnExportError(number, f"this isn't a row of the table {table.name}") from None


def _read(column: Column[Any], value: Any) -> Any:
    """Raises ValueError and TypeError where the column cannot have it."""
    if value is None and column.nullable:
        return None
    if isinstance(column.type, UtcDateTime):
        return datetime.fromisoformat(value)
    if isinstance(column.type, Date):
        return date.fromisoformat(value)
    expected = bool if isinstance(column.type, Boolean) else int if isinstance(column.type, Integer) else str
    if type(value) is not expected:
        raise TypeError
    return value
