"""All state as JSON Lines: a header, one line for each row, and a checksum that shows that the file is complete."""

import hashlib
import json
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, Self

from sqlalchemy import Boolean, Column, Date, Integer, Table

from weekbot.cluster.process_lock import process_lock
from weekbot.db.database import Database
from weekbot.db.revision import LATEST
from weekbot.db.snapshot_marker import mark_snapshot
from weekbot.db.tables import UtcDateTime, metadata_entries
from weekbot.runtime.errors import WeekbotError
from weekbot.transfer import table_rows
from weekbot.transfer.table_rows import BATCH, TABLES, Rows, RowSource, digest_of, read_rows

FORMAT, VERSION = "weekbot export", 1
LONGEST_LINE = 1 << 20  # bytes; the longest values are reasons and single metadata_entries


class NotAnExportError(WeekbotError):
    """The file cannot be imported."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"Line {line}: {reason}. Nothing was imported.")


@dataclass(frozen=True)
class Header:
    """`rows` has the number of rows of each table at the instant `taken_at`."""

    taken_at: datetime
    rows: dict[str, int]
    revision: str

    @classmethod
    def parse(cls, line: Any) -> Self:
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
            wrong = f"the export is of revision {header.revision} of the schema, this version of weekbot has {LATEST}"
            remedy = "import it with the version that wrote it, and run `weekbot db upgrade` with this one"
            raise NotAnExportError(1, f"{wrong}; {remedy}")
        if header.rows.keys() != {table.name for table in TABLES}:
            raise NotAnExportError(1, "the tables are not those of this version of weekbot")
        return header


async def export(database: Database, file: BinaryIO, now: datetime) -> int:
    """Write all rows as of one moment, and return their number. Raises WeekbotError unless the schema is current."""
    table_rows.check_exists(database)
    digest = hashlib.sha256()
    with database.explain_errors():
        async with database.read() as connection:
            await table_rows.check_revision(connection)
            rows = {table.name: await table_rows.count(connection, table) for table in TABLES}
            about = {"format": FORMAT, "version": VERSION, "revision": LATEST, "taken_at": now.isoformat()}
            _write(file, {**about, "rows": rows}, digest)
            for table in TABLES:
                async for batch in read_rows(connection, table):
                    for row in batch:
                        values = (value.isoformat() if isinstance(value, date) else value for value in row)
                        line = {"table": table.name, "row": dict(zip(table.columns.keys(), values, strict=True))}
                        _write(file, line, digest)
    _write(file, {"sha256": digest.hexdigest()}, digest)
    return sum(rows.values())


def _write(file: BinaryIO, line: dict[str, Any], digest: Any) -> None:
    data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    digest.update(data)
    try:
        file.write(data)
    except OSError as error:
        raise WeekbotError(f"The export cannot be written: {error.strerror}.") from error


async def import_(database: Database, file: BinaryIO, report: Callable[[str], None]) -> None:
    """Import all rows in one transaction into a database that is empty or an unused copy.

    The file is read twice: the database is opened only once the file is verified. Raises NotAnExportError, InUseError
    if a bot runs with the database, and WeekbotError if it holds anything else.
    """
    header = verify(file)
    await database.upgrade()
    async with process_lock(database), database.write() as connection:
        imported = await table_rows.replace_rows(
            connection, _row_source(file, header), lambda table, digest: report(f"{table}: {digest.rows:,} rows")
        )
        await mark_snapshot(connection, header.taken_at)
        marked = {metadata_entries: await digest_of(connection, metadata_entries)}
        await table_rows.mark_copied(connection, imported | marked)


def verify(file: BinaryIO) -> Header:
    """Check that the file is a complete and unchanged export. Raises NotAnExportError."""
    digest, header, number, last = hashlib.sha256(), None, 0, b""
    for number, line in _lines(file):
        header = header or Header.parse(_parsed(number, line))
        digest.update(last)
        last = line
    if header is None:
        raise NotAnExportError(1, "the file is empty")
    expected = sum(header.rows.values()) + 2
    if number != expected or not last.endswith(b"\n"):
        raise NotAnExportError(number, f"the export has {number:,} of {expected:,} lines; it was cut off, or changed")
    if _parsed(number, last) != {"sha256": digest.hexdigest()}:
        raise NotAnExportError(number, "the checksum doesn't match the lines before it; one of them was changed")
    return header


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines numbered from 1, without the byte order mark and CRLF line ends that editors may add."""
    file.seek(0)
    if file.read(len(BOM_UTF8)) != BOM_UTF8:
        file.seek(0)
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), 1):
        if len(line) == LONGEST_LINE:
            raise NotAnExportError(number, "the line is longer than any line of an export")
        yield number, line[:-2] + b"\n" if line.endswith(b"\r\n") else line


def _parsed(number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise NotAnExportError(number, "this isn't a line of JSON") from None


def _row_source(file: BinaryIO, header: Header) -> RowSource:
    """Return the reader of a verified file's tables. Raises NotAnExportError for a row of another table."""
    lines = islice(_lines(file), 1, None)

    async def read(table: Table) -> AsyncIterator[Rows]:
        rows = header.rows[table.name]
        for start in range(0, rows, BATCH):
            batch = islice(lines, min(BATCH, rows - start))
            yield [_row(table, number, _parsed(number, line)) for number, line in batch]

    return read


def _row(table: Table, number: int, line: Any) -> list[Any]:
    try:
        if line["table"] != table.name or line["row"].keys() != set(table.columns.keys()):
            raise ValueError
        return [_decoded(column, line["row"][column.name]) for column in table.columns]
    except (KeyError, TypeError, AttributeError, ValueError):
        raise NotAnExportError(number, f"this isn't a row of the table {table.name}") from None


def _decoded(column: Column[Any], value: Any) -> Any:
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
