"""The copy of a SQLite database to PostgreSQL, verified there."""

from collections.abc import Callable

from sqlalchemy import Table

from weekbot.cluster.process_lock import sole_use
from weekbot.db.database import Database
from weekbot.runtime.errors import WeekbotError
from weekbot.transfer.table_rows import (
    TABLES,
    TableDigest,
    check_exists,
    check_revision,
    check_unused,
    clear,
    fill_table,
    mark_copied,
    read_rows,
)


async def copy(source: Database, target: Database, report: Callable[[str], None]) -> None:
    """Copy all tables in one transaction, and report each. An interrupted copy leaves nothing behind.

    Raises InUseError if a bot runs with one of the two, and WeekbotError if the source is not up to date, if the target
    holds anything but an unused copy, or if the copy differs.
    """
    if not source.is_sqlite or target.is_sqlite:
        raise WeekbotError(
            "This copies from SQLite to PostgreSQL: set WEEKBOT_DATABASE_URL to sqlite:///… and --to to postgresql://…."
        )
    check_exists(source)
    async with sole_use(source), source.read() as old:
        await check_revision(old)
        await target.upgrade()
        async with sole_use(target), target.write() as new:
            await check_unused(new)
            await clear(new)
            copied: dict[Table, TableDigest] = {}
            for table in TABLES:
                copied[table] = await fill_table(new, table, read_rows(old, table))
                report(f"{table.name}: {copied[table]}")
            await mark_copied(new, copied)
