"""The copy of a SQLite database to PostgreSQL, verified there."""

from collections.abc import Callable
from functools import partial

from weekbot.cluster.process_lock import process_lock
from weekbot.db.database import Database
from weekbot.runtime.errors import WeekbotError
from weekbot.transfer.table_rows import check_exists, check_revision, mark_copied, read_rows, replace_rows


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
    async with process_lock(source), source.read() as old:
        await check_revision(old)
        await target.upgrade()
        async with process_lock(target), target.write() as new:
            copied = await replace_rows(new, partial(read_rows, old), lambda table, rows: report(f"{table}: {rows}"))
            await mark_copied(new, copied)
