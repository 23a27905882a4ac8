"""`weekbot db copy`: copies everything from SQLite to PostgreSQL, or nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from fakes import GUILD, Bot, FakeClock
from postgres import database_url
from weekbot.cluster.process_lock import InUseError, process_lock
from weekbot.content.library import Library
from weekbot.db.database import Database
from weekbot.db.tables import metadata_entries, subscriptions
from weekbot.runtime.errors import WeekbotError
from weekbot.store.guilds import Guilds
from weekbot.store.metadata import Metadata
from weekbot.store.subscriptions import Subscriptions
from weekbot.transfer.database_copy import copy
from weekbot.transfer.table_rows import TABLES, NotCopiedError

pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # the source


@pytest.fixture
async def target() -> AsyncIterator[Database]:
    """An empty database, as an operator creates it."""
    with database_url() as url:
        async with Database(url) as database:
            yield database


def no_progress(_: str) -> None:
    pass


def bytes_of(database: Database) -> bytes:
    return Path(database.name).read_bytes()


async def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables, except metadata that is specific to one database."""
    found = {}
    async with database.read() as connection:
        for table in TABLES:
            query = (
                select(table)
                if table is not metadata_entries
                else select(table).where(metadata_entries.c.name.not_in(["copied", "term"]))
            )
            found[table.name] = sorted((tuple(row) for row in await connection.execute(query)), key=str)
    return found


async def test_everything_is_copied_and_the_source_is_unchanged(source: Database, target: Database) -> None:
    before, lines = bytes_of(source), list[str]()
    await copy(source, target, lines.append)
    assert await everything(target) == await everything(source)
    assert all((await everything(target)).values())
    assert [line.split(":")[0] for line in lines] == [table.name for table in TABLES]
    assert bytes_of(source) == before


async def test_a_copy_can_be_repeated_until_the_target_is_used(source: Database, target: Database) -> None:
    await copy(source, target, no_progress)
    await Metadata(source).put("commands", "another digest")
    await copy(source, target, no_progress)
    assert await everything(target) == await everything(source)
    async with target.write() as connection:
        await connection.execute(update(subscriptions).values(paused=True))
    used = await everything(target)
    with pytest.raises(WeekbotError, match=r"used since. Copy to an empty database"):
        await copy(source, target, no_progress)
    assert await everything(target) == used


async def test_a_database_that_is_not_a_copy_is_not_replaced(source: Database, target: Database) -> None:
    await target.upgrade()
    await Guilds(target).set_notice_channel(5, 6)
    with pytest.raises(WeekbotError, match="contains other data"):
        await copy(source, target, no_progress)
    assert (await Guilds(target).settings(5)).notices_channel_id == 6


async def test_an_interrupted_copy_leaves_no_rows_and_can_be_repeated(source: Database, target: Database) -> None:
    def interrupted(line: str) -> None:
        if line.startswith("deliveries"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await copy(source, target, interrupted)
    assert not any((await everything(target)).values())
    await copy(source, target, no_progress)
    assert await everything(target) == await everything(source)


async def test_a_copy_that_differs_from_its_source_is_an_error(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await target.upgrade()
    async with target.write() as connection:
        await connection.exec_driver_sql(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.topic := 'spoilt'; RETURN NEW; END $$"
        )
        await connection.exec_driver_sql(
            "CREATE TRIGGER spoil BEFORE INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION spoil()"
        )
    with pytest.raises(NotCopiedError):
        await copy(source, target, no_progress)
    assert not any((await everything(target)).values())


@pytest.mark.parametrize("side", ["source", "target"])
async def test_nothing_is_copied_while_a_bot_is_running(
    source: Database, target: Database, url: str, side: str
) -> None:
    await target.upgrade()
    running = Database(url) if side == "source" else target
    async with process_lock(running):
        with pytest.raises(InUseError):
            await copy(source, target, no_progress)
    assert not any((await everything(target)).values())
    if running is not target:
        await running.close()


async def test_new_subscriptions_continue_after_the_highest_number(
    source: Database, target: Database, library: Library, clock: FakeClock
) -> None:
    await copy(source, target, no_progress)
    bot = Bot(target.engine.url.render_as_string(hide_password=False), library, clock)
    assert (await bot.subscribe(99)).id == 1 + max(each.id for each in await Subscriptions(source).of_guild(GUILD))
    await bot.process.close()


async def test_only_sqlite_is_copied_to_postgresql(source: Database, target: Database, tmp_path: Path) -> None:
    for one, other in ((source, source), (target, target), (target, source)):
        with pytest.raises(WeekbotError, match="from SQLite to PostgreSQL"):
            await copy(one, other, no_progress)
    missing = Database(f"sqlite:///{tmp_path / 'missing.db'}")
    with pytest.raises(WeekbotError, match=r"There is no database .*missing\.db"):
        await copy(missing, target, no_progress)
    await missing.close()
    assert not (tmp_path / "missing.db").exists()


async def test_a_source_with_an_old_schema_is_refused(source: Database, target: Database) -> None:
    async with source.write() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(WeekbotError, match="Run `weekbot db upgrade`"):
        await copy(source, target, no_progress)
