"""The rows of all tables: read, hashed, and inserted into another database in one transaction."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Select, Table, delete, func, insert, select, text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.cluster.fencing import TERM
from weekbot.db.database import Database
from weekbot.db.metadata import get_entry, put_entry
from weekbot.db.revision import LATEST, revision_of
from weekbot.db.schema_inspection import NoDatabaseError
from weekbot.db.tables import SESSION_STARTS, metadata, metadata_entries
from weekbot.runtime.errors import WeekbotError

COPIED = "copied"  # the name of the fact that identifies an unused copy
LOCAL_FACTS = (COPIED, TERM, SESSION_STARTS)  # which belong to one database, and are never copied
BATCH = 5000  # rows
HASH_BYTES = 16
TABLES = metadata.sorted_tables  # referenced tables first

Rows = Sequence[Sequence[Any]]
RowSource = Callable[[Table], AsyncIterator[Rows]]
Report = Callable[[Table, "TableDigest"], None]
InsertRows = Callable[[Rows], Awaitable[None]]


class NotCopiedError(WeekbotError):
    """The copy differs from the database: nothing was copied. Run it again."""


@dataclass(frozen=True)
class TableDigest:
    """The number of a table's rows and the sum of their hashes, which doesn't depend on their order."""

    rows: int = 0
    digest: int = 0

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.digest:0{HASH_BYTES * 2}x}"

    def add(self, rows: Rows) -> "TableDigest":
        hashes = sum(_hash(row) for row in rows)
        return TableDigest(self.rows + len(rows), (self.digest + hashes) % (1 << HASH_BYTES * 8))


def _hash(row: Sequence[Any]) -> int:
    """Return the same hash for the same values from SQLite and PostgreSQL."""
    values = (value.timestamp() if isinstance(value, datetime) else value for value in row)
    return int.from_bytes(hashlib.blake2b(repr(tuple(values)).encode(), digest_size=HASH_BYTES).digest())


def check_exists(database: Database) -> None:
    """Raises NoDatabaseError."""
    if database.is_sqlite and not Path(database.name).is_file():
        raise NoDatabaseError(database.name)


async def check_revision(connection: AsyncConnection) -> None:
    if await connection.run_sync(revision_of) != LATEST:
        raise WeekbotError("The database is not up to date. Run `weekbot db upgrade` with this version first.")


async def count(connection: AsyncConnection, table: Table) -> int:
    return (await connection.scalars(select(func.count()).select_from(_select(table).subquery()))).one()


async def read_rows(connection: AsyncConnection, table: Table) -> AsyncIterator[Rows]:
    async with connection.stream(_select(table).execution_options(yield_per=BATCH)) as result:
        async for rows in result.partitions():
            yield rows


def _select(table: Table) -> Select[Any]:
    query = select(table)
    return query.where(metadata_entries.c.name.not_in(LOCAL_FACTS)) if table is metadata_entries else query


async def digest_of(connection: AsyncConnection, table: Table) -> TableDigest:
    digest = TableDigest()
    async for rows in read_rows(connection, table):
        digest = digest.add(rows)
    return digest


async def replace_rows(connection: AsyncConnection, source: RowSource, report: Report) -> dict[Table, TableDigest]:
    """Replace the rows of a database that is empty or an unused copy, and report each table.

    Raises NotCopiedError, and WeekbotError if the database holds anything else.
    """
    await _check_unused(connection)
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"TRUNCATE {', '.join(table.name for table in TABLES)}"))
    else:
        for table in reversed(TABLES):
            await connection.execute(delete(table))
    filled = dict[Table, TableDigest]()
    for table in TABLES:
        filled[table] = await _fill(connection, table, source(table))
        report(table, filled[table])
    return filled


async def _check_unused(connection: AsyncConnection) -> None:
    found = {table: await digest_of(connection, table) for table in TABLES}
    is_used = any(each.rows for table, each in found.items() if table is not metadata_entries)
    if is_used and await get_entry(connection, COPIED) != _summary(found):
        raise WeekbotError(
            "The target contains other data, or a copy that was used since. Copy to an empty database instead."
        )


async def _fill(connection: AsyncConnection, table: Table, batches: AsyncIterator[Rows]) -> TableDigest:
    digest = TableDigest()
    try:
        async with _inserter(connection, table) as insert_rows:
            async for rows in batches:
                digest = digest.add(rows)
                await insert_rows(rows)
    except _rejections(connection) as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise NotCopiedError(f"The table {table.name} rejects its rows: {reason}. Nothing was copied.") from error
    if await digest_of(connection, table) != digest:
        raise NotCopiedError
    return digest


@asynccontextmanager
async def _inserter(connection: AsyncConnection, table: Table) -> AsyncIterator[InsertRows]:
    """Yield a function that inserts rows with the values of all columns; PostgreSQL is fastest with COPY."""
    names = [column.name for column in table.columns]

    async def insert_rows(rows: Rows) -> None:
        await connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])

    if connection.dialect.name != "postgresql":
        yield insert_rows
        return
    columns = ", ".join(f'"{name}"' for name in names)
    driver: Any = (await connection.get_raw_connection()).driver_connection
    async with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:

        async def copy_rows(rows: Rows) -> None:
            for row in rows:
                await copy.write_row(row)

        yield copy_rows


def _rejections(connection: AsyncConnection) -> tuple[type[Exception], ...]:
    """Return the errors for values that a table rejects; those of COPY don't pass through SQLAlchemy."""
    driver = connection.dialect.loaded_dbapi
    copy_errors = (driver.IntegrityError, driver.DataError) if connection.dialect.name == "postgresql" else ()
    return (IntegrityError, DataError, *copy_errors)


async def mark_copied(connection: AsyncConnection, copied: Mapping[Table, TableDigest]) -> None:
    """Continue the numbering of rows, and mark the database as an unused copy."""
    if connection.dialect.name == "postgresql":
        await _continue_numbering(connection)
    await put_entry(connection, COPIED, _summary(copied))


def _summary(digests: Mapping[Table, TableDigest]) -> str:
    return "; ".join(f"{table.name}: {each}" for table, each in digests.items())


async def _continue_numbering(connection: AsyncConnection) -> None:
    for table in TABLES:
        if (column := table.autoincrement_column) is not None:
            highest = await connection.scalar(select(func.max(column)))
            values = {"table": table.name, "column": column.name, "next": (highest or 0) + 1}
            await connection.execute(_SET_NUMBER, values)


_SET_NUMBER = text("SELECT setval(pg_get_serial_sequence(:table, :column), :next, false)")
