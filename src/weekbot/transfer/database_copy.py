"""Moving up: everything that a SQLite file holds, copied to PostgreSQL and verified there."""

from collections.abc import Callable

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.cluster.process_lock import process_lock
from weekbot.db.database import Database
from weekbot.runtime.errors import WeekbotError
from weekbot.transfer.table_rows import (
    TABLES,
    Contents,
    check_revision,
    check_there,
    check_unused,
    clear,
    mark_copied,
    put_table,
    rows_of,
)


async def copy(source: Database, target: Database, tell: Callable[[str], None]) -> None:
    """Copy all tables in one transaction; `tell` what was copied. An interrupted copy leaves nothing behind.

    Raises InUseError where a bot runs with one of the two, and WeekbotError where the source is not up to date, the
    target holds something else than an unused copy, or what arrived differs.
    """
    _check_kinds(source, target)
    async with process_lock(source), source.read() as old:
        await check_revision(old)
        await target.upgrade()
        async with process_lock(target), target.write() as new:
            await check_unused(new)
            await _copy_all(old, new, tell)


def _check_kinds(source: Database, target: Database) -> None:
    if not source.is_sqlite or target.is_sqlite:
        raise WeekbotError(
            "This copies from SQLite to PostgreSQL: set WEEKBOT_DATABASE_URL to sqlite:///… and --to to postgresql://…."
        )
    check_there(source)


async def _copy_all(old: AsyncConnection, new: AsyncConnection, tell: Callable[[str], None]) -> None:
    await clear(new)
    copied: dict[Table, Contents] = {}
    for table in TABLES:
        copied[table] = await put_table(new, table, rows_of(old, table))
        tell(f"{table.name}: {copied[table]}")
    await mark_copied(new, copied)
