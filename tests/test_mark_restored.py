"""`weekbot db mark-restored`: marks a database restored by other means, so that no post is duplicated."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from fakes import SLOT, SLUGS, Bot
from test_backup import run, sentence_of
from test_reconciliations import UNREADABLE, restore, snapshot, states
from weekbot.cluster.process_lock import process_lock
from weekbot.db.database import Database
from weekbot.db.snapshot_marker import ALIVE_AT, TAKEN_AT
from weekbot.domain.schedule import WEEK
from weekbot.store.metadata import Metadata

LATER = SLOT + 2 * WEEK


async def mark(bot: Bot) -> str:
    """Stop the bot, run the command, and return its output."""
    await bot.process.close()
    result = await asyncio.to_thread(run, bot.url, "db", "mark-restored")
    assert result.exit_code == 0, result.exception
    bot.process = bot.another_process(bot.sender)
    return result.output


async def older_copy(bot: Bot) -> None:
    """Post two weeks, then put back the database of the first week, unmarked."""
    await bot.subscribe()
    await bot.weeks(1)
    saved = await snapshot(bot)
    await bot.weeks(1)
    await restore(bot, saved)


async def test_a_marked_copy_reads_the_history_before_it_posts(bot: Bot) -> None:
    await older_copy(bot)
    output = await mark(bot)
    assert "looks up what was posted since 2026-11-23 09:00 UTC" in output
    await bot.tick(minutes=5)
    assert bot.topics() == list(SLUGS[:2])
    await bot.weeks(1)
    assert bot.topics() == list(SLUGS[:3])


@pytest.mark.parametrize("marked", [True, False])
async def test_the_mark_prevents_a_duplicate_post_if_the_history_is_unreadable(bot: Bot, marked: bool) -> None:
    await older_copy(bot)
    if marked:
        await mark(bot)
    bot.sender.quiet, bot.sender.reading, bot.sender.finding = False, [UNREADABLE] * 9, [UNREADABLE] * 9
    bot.sender.forget_nonces()
    await bot.tick(minutes=5)
    assert (await states(bot))[-1] == ("django", "unverified" if marked else "sent")
    assert len(bot.topics()) == (2 if marked else 3)


async def test_an_existing_mark_is_kept(bot: Bot) -> None:
    await older_copy(bot)
    await Metadata(bot.process.database).put(TAKEN_AT, "2026-11-20T03:00:00+00:00")
    assert "since 2026-11-20 03:00 UTC" in await mark(bot)
    assert "since 2026-11-20 03:00 UTC" in await mark(bot)


async def test_a_slot_in_the_future_is_ignored(bot: Bot) -> None:
    await older_copy(bot)
    await Metadata(bot.process.database).put(ALIVE_AT, "2026-11-23T10:00:00+00:00")
    async with bot.process.database.write() as connection:
        await connection.execute(text("UPDATE deliveries SET slot = '2030-01-07 09:00:00'"))
    assert "since 2026-11-23 10:00 UTC" in await mark(bot)


async def test_a_channel_without_posts_is_looked_up_from_its_first_slot(bot: Bot) -> None:
    await bot.subscribe()
    assert "since 2026-11-23 09:00 UTC" in await mark(bot)


async def test_without_subscriptions_there_is_nothing_to_mark(bot: Bot) -> None:
    assert "Nothing to mark" in await mark(bot)
    assert await Metadata(bot.process.database).get(TAKEN_AT) is None


async def test_nothing_is_marked_while_a_bot_is_running(database: Database, url: str) -> None:
    async with process_lock(database):
        result = await asyncio.to_thread(run, url, "db", "mark-restored")
    assert "Another weekbot is running" in sentence_of(result)
    assert await Metadata(database).get(TAKEN_AT) is None


def test_a_missing_database_is_not_created(tmp_path: Path) -> None:
    assert "There is no database" in sentence_of(run(f"sqlite:///{tmp_path / 'new.db'}", "db", "mark-restored"))
    assert not list(tmp_path.iterdir())
