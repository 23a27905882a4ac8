"""What a database holds, as rows that can be put into another: read, hashed, and put there in one transaction."""

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

from weekbot.errors import WeekbotError
from weekbot.store.condition import NoDatabaseError
from weekbot.store.database import Database
from weekbot.store.facts import SESSION_STARTS
from weekbot.store.fence import TERM
from weekbot.store.revision import LATEST, revision_of
from weekbot.store.tables import facts, metadata
from weekbot.store.upsert import insert_into

COPIED = "copied"
"""The fact by which a copy that was not used yet is known."""
OWN = (COPIED, TERM, SESSION_STARTS)
"""The facts that belong to one database alone, and are in no copy."""
AT_ONCE = 5000  # rows
HASH_BYTES = 16
TABLES = metadata.sorted_tables  # what is referred to comes first

Rows = Sequence[Sequence[Any]]
Put = Callable[[Rows], Awaitable[None]]


class NotCopiedError(WeekbotError):
    """The copy differs from the database: nothing was copied. Run it again."""


@dataclass(frozen=True)
class Contents:
    """How many rows a table has, and the sum of their hashes, which does not depend on their order."""

    rows: int = 0
    digest: int = 0

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.digest:0{HASH_BYTES * 2}x}"

    def and_(self, rows: Rows) -> "Contents":
        hashes = sum(_hash(row) for row in rows)
        return Contents(self.rows + len(rows), (self.digest + hashes) % (1 << HASH_BYTES * 8))


def _hash(row: Sequence[Any]) -> int:
    """The same for the same values, whatever database they came from."""
    values = (value.timestamp() if isinstance(value, datetime) else value for value in row)
    return int.from_bytes(hashlib.blake2b(repr(tuple(values)).encode(), digest_size=HASH_BYTES).digest())


def check_there(database: Database) -> None:
    """Raises NoDatabaseError."""
    if database.is_sqlite and not Path(database.name).is_file():
        raise NoDatabaseError(database.name)


async def check_revision(connection: AsyncConnection) -> None:
    if await connection.run_sync(revision_of) != LATEST:
        raise WeekbotError("The database is not up to date. Run `weekbot db upgrade` with this version first.")


async def check_unused(connection: AsyncConnection) -> None:
    """What was copied before, and not used since, may be replaced; anything else is somebody's."""
    found = {table: await contents(connection, table) for table in TABLES}
    known = await connection.scalar(select(facts.c.value).where(facts.c.name == COPIED))
    if any(each.rows for table, each in found.items() if table is not facts) and known != _summary(found):
        raise WeekbotError(
            "The target contains other data, or a copy that was used since. Copy to an empty database instead."
        )


async def count(connection: AsyncConnection, table: Table) -> int:
    found: int = (await connection.execute(select(func.count()).select_from(_rows_of(table).subquery()))).scalar_one()
    return found


async def rows_of(connection: AsyncConnection, table: Table) -> AsyncIterator[Rows]:
    """All rows, some thousands at a time, without the facts that belong to this database alone."""
    async with connection.stream(_rows_of(table).execution_options(yield_per=AT_ONCE)) as result:
        async for rows in result.partitions():
            yield rows


def _rows_of(table: Table) -> Select[Any]:
    query = select(table)
    return query.where(facts.c.name.not_in(OWN)) if table is facts else query


async def contents(connection: AsyncConnection, table: Table) -> Contents:
    found = Contents()
    async for rows in rows_of(connection, table):
        found = found.and_(rows)
    return found


async def clear(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"TRUNCATE {', '.join(table.name for table in TABLES)}"))
        return
    for table in reversed(TABLES):
        await connection.execute(delete(table))


@asynccontextmanager
async def _putting(connection: AsyncConnection, table: Table) -> AsyncIterator[Put]:
    """Puts many rows into the table, with the values of all columns, as fast as that kind of database can."""
    if connection.dialect.name == "postgresql":
        async with _copying(connection, table) as copying:
            yield copying
        return

    async def inserting(rows: Rows) -> None:
        names = [column.name for column in table.columns]
        await connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])

    yield inserting


@asynccontextmanager
async def _copying(connection: AsyncConnection, table: Table) -> AsyncIterator[Put]:
    """PostgreSQL's own way, of the driver."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    driver: Any = (await connection.get_raw_connection()).driver_connection
    async with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copying:

        async def copy(rows: Rows) -> None:
            for row in rows:
                await copying.write_row(row)

        yield copy


async def put_table(connection: AsyncConnection, table: Table, batches: AsyncIterator[Rows]) -> Contents:
    """Put the rows into the empty table. Raises NotCopiedError where others arrived."""
    put, refusals = Contents(), _refusals(connection)
    try:
        async with _putting(connection, table) as put_rows:
            async for rows in batches:
                put = put.and_(rows)
                await put_rows(rows)
    except refusals as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise NotCopiedError(f"The table {table.name} rejects its rows: {reason}. Nothing was copied.") from error
    if await contents(connection, table) != put:
        raise NotCopiedError
    return put


def _refusals(connection: AsyncConnection) -> tuple[type[Exception], ...]:
    """What is raised for values that a table does not take; of what is copied SQLAlchemy knows nothing."""
    driver = connection.dialect.loaded_dbapi
    copying = (driver.IntegrityError, driver.DataError) if connection.dialect.name == "postgresql" else ()
    return (IntegrityError, DataError, *copying)


async def mark_copied(connection: AsyncConnection, copied: Mapping[Table, Contents]) -> None:
    """What is inserted from now on goes on after the highest number, and is known from what was copied."""
    if connection.dialect.name == "postgresql":
        await _continue_numbering(connection)
    mark = insert_into(connection, facts).values(name=COPIED, value=_summary(copied))
    await connection.execute(mark.on_conflict_do_update(index_elements=["name"], set_={"value": mark.excluded.value}))


def _summary(contents: Mapping[Table, Contents]) -> str:
    return "; ".join(f"{table.name}: {each}" for table, each in contents.items())


async def _continue_numbering(connection: AsyncConnection) -> None:
    for table in TABLES:
        for column in table.primary_key:
            if table.autoincrement_column is column:
                highest = await connection.scalar(select(func.max(column)))
                values = {"table": table.name, "column": column.name, "next": (highest or 0) + 1}
                await connection.execute(_SET_NUMBER, values)


_SET_NUMBER = text("SELECT setval(pg_get_serial_sequence(:table, :column), :next, false)")
