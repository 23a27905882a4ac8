"""Moving up: everything that a SQLite file holds, copied to PostgreSQL and verified there."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.errors import WeekbotError
from weekbot.store.database import Database
from weekbot.store.fence import TERM
from weekbot.store.revision import LATEST, revision_of
from weekbot.store.sole_use import sole_use
from weekbot.store.tables import facts, metadata
from weekbot.store.upsert import insert_into

COPIED = "copied"
"""The fact by which a copy that was not used yet is known."""
AT_ONCE = 5000  # rows
HASH_BYTES = 16
TABLES = metadata.sorted_tables  # what is referred to comes first


class NotCopiedError(WeekbotError):
    """The copy differs from the database: nothing was copied. Run it again."""


@dataclass(frozen=True)
class Contents:
    """How many rows a table has, and the sum of their hashes, which does not depend on their order."""

    rows: int = 0
    digest: int = 0

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.digest:0{HASH_BYTES * 2}x}"


async def copy(source: Database, target: Database, tell: Callable[[str], None]) -> None:
    """Copy all tables in one transaction; `tell` what was copied. An interrupted copy leaves nothing behind.

    Raises InUseError where a bot runs with one of the two, and WeekbotError where the source is not up to date, the
    target holds something else than an unused copy, or what arrived differs.
    """
    _check_kinds(source, target)
    async with sole_use(source), source.read() as old:
        await _check_revision(old)
        await target.upgrade()
        async with sole_use(target), target.write() as new:
            await _check_unused(new)
            await _copy_all(old, new, tell)


def _check_kinds(source: Database, target: Database) -> None:
    if not source.is_sqlite or target.is_sqlite:
        raise WeekbotError(
            "This copies from SQLite to PostgreSQL: set WEEKBOT_DATABASE_URL to sqlite:///… and --to to postgresql://…."
        )
    if not Path(source.name).is_file():
        raise WeekbotError(f"There is no database {source.name}; check WEEKBOT_DATABASE_URL.")


async def _check_revision(connection: AsyncConnection) -> None:
    if await connection.run_sync(revision_of) != LATEST:
        raise WeekbotError("The database is not up to date. Run `weekbot db upgrade` with this version first.")


async def _check_unused(connection: AsyncConnection) -> None:
    """What was copied before, and not used since, may be replaced; anything else is somebody's."""
    found = {table: await _contents(connection, table) for table in TABLES}
    known = await connection.scalar(select(facts.c.value).where(facts.c.name == COPIED))
    if any(each.rows for table, each in found.items() if table is not facts) and known != _summary(found):
        raise WeekbotError(
            "The target holds data that is no copy, or one that was used since. Copy to an empty database instead."
        )


async def _copy_all(old: AsyncConnection, new: AsyncConnection, tell: Callable[[str], None]) -> None:
    names = ", ".join(table.name for table in TABLES)
    await new.execute(text(f"TRUNCATE {names}"))
    copied: dict[Table, Contents] = {}
    for table in TABLES:
        copied[table] = await _copy_table(old, new, table)
        if await _contents(new, table) != copied[table]:
            raise NotCopiedError
        tell(f"{table.name}: {copied[table]}")
    await _continue_numbering(new)
    mark = insert_into(new, facts).values(name=COPIED, value=_summary(copied))
    await new.execute(mark.on_conflict_do_update(index_elements=["name"], set_={"value": mark.excluded.value}))


async def _copy_table(old: AsyncConnection, new: AsyncConnection, table: Table) -> Contents:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    contents = Contents()
    async with _copying(new, f"COPY {table.name} ({columns}) FROM STDIN") as copying:
        async for rows in _rows(old, table):
            contents = _added(contents, rows)
            for row in rows:
                await copying.write_row(row)
    return contents


@asynccontextmanager
async def _copying(connection: AsyncConnection, statement: str) -> AsyncIterator[Any]:
    """PostgreSQL's own way to take many rows, of the driver."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    async with driver.cursor() as cursor, cursor.copy(statement) as copying:
        yield copying


async def _rows(connection: AsyncConnection, table: Table) -> AsyncIterator[Sequence[Any]]:
    async with connection.stream(select(table).execution_options(yield_per=AT_ONCE)) as result:
        async for rows in result.partitions():
            yield rows


async def _contents(connection: AsyncConnection, table: Table) -> Contents:
    """Of the facts, those that belong to this database alone are left out."""
    contents = Contents()
    async for rows in _rows(connection, table):
        counted = [row for row in rows if table is not facts or row.name not in (COPIED, TERM)]
        contents = _added(contents, counted)
    return contents


def _added(contents: Contents, rows: Sequence[Any]) -> Contents:
    hashes = sum(_hash(row) for row in rows)
    return Contents(contents.rows + len(rows), (contents.digest + hashes) % (1 << HASH_BYTES * 8))


def _hash(row: Sequence[Any]) -> int:
    """The same for the same values, whatever database they came from."""
    values = (value.timestamp() if isinstance(value, datetime) else value for value in row)
    return int.from_bytes(hashlib.blake2b(repr(tuple(values)).encode(), digest_size=HASH_BYTES).digest())


def _summary(contents: dict[Table, Contents]) -> str:
    return "; ".join(f"{table.name}: {each}" for table, each in contents.items())


async def _continue_numbering(connection: AsyncConnection) -> None:
    """What is inserted later goes on after the highest number that was copied."""
    for table in TABLES:
        for column in table.primary_key:
            if table.autoincrement_column is column:
                highest = await connection.scalar(select(func.max(column)))
                values = {"table": table.name, "column": column.name, "next": (highest or 0) + 1}
                await connection.execute(_SET_NUMBER, values)


_SET_NUMBER = text("SELECT setval(pg_get_serial_sequence(:table, :column), :next, false)")
