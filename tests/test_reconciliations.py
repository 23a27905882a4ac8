"""Reconciliation of a restored ledger with the channels' posts: no post is duplicated, and topics stay in order."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from fakes import CHANNEL, GUILD, MONDAY, OTHER, SLOT, SLUGS, Bot
from weekbot.db.snapshot_marker import mark_snapshot, snapshot_taken_at
from weekbot.db.tables import deliveries, reconciliations
from weekbot.delivery import verification
from weekbot.delivery.errors import HistoryUnreadableError, RetryableError
from weekbot.delivery.ports import HistoryPage
from weekbot.domain.deliveries import State
from weekbot.domain.reconciliations import LookingBackError
from weekbot.domain.schedule import WEEK
from weekbot.domain.steps import StepName
from weekbot.store.reconciliations import FoundPosts, Reconciliations
from weekbot.transfer.table_rows import TABLES

Snapshot = dict[str, list[dict[str, Any]]]
UNREADABLE = HistoryUnreadableError("Read Message History is missing")


async def snapshot(bot: Bot) -> Snapshot:
    async with bot.process.database.read() as connection:
        return {
            table.name: [dict(row) for row in (await connection.execute(select(table))).mappings()] for table in TABLES
        }


async def restore(bot: Bot, saved: Snapshot, taken_at: datetime | None = None) -> None:
    """Restore the snapshot, marked with `taken_at` if it is given, and restart the process."""
    await bot.process.database.end()
    await bot.process.close()
    bot.process = bot.another_process(bot.sender)
    async with bot.process.database.write() as connection:
        for table in reversed(TABLES):
            await connection.execute(delete(table))
        for table in TABLES:
            if saved[table.name]:
                await connection.execute(table.insert(), saved[table.name])
        if taken_at:
            await mark_snapshot(connection, taken_at)


async def states(bot: Bot) -> list[tuple[str, str]]:
    """Return the topic and state of each delivery, by slot."""
    query = select(deliveries.c.topic, deliveries.c.state).order_by(deliveries.c.slot)
    async with bot.process.database.read() as connection:
        return [(row.topic, row.state) for row in await connection.execute(query)]


@pytest.mark.parametrize("marked", [True, False])
async def test_posts_after_the_backup_are_recorded_again(bot: Bot, marked: bool) -> None:
    await bot.subscribe()
    await bot.weeks(1)
    saved, taken_at = await snapshot(bot), bot.clock.now()
    await bot.weeks(2)
    recorded = {row["id"]: row for row in (await snapshot(bot))["deliveries"]}

    await restore(bot, saved, taken_at if marked else None)
    await bot.tick(hours=1)

    assert bot.topics() == list(SLUGS[:3])
    restored = {row["id"]: row for row in (await snapshot(bot))["deliveries"]}
    columns = ("slot", "topic", "round", "scheduled", "state", "message_id", "message_channel_id")
    assert {id_: [row[name] for name in columns] for id_, row in restored.items()} == {
        id_: [row[name] for name in columns] for id_, row in recorded.items()
    }
    await bot.weeks(2)
    assert bot.topics() == [*SLUGS, "flask"]


async def test_each_channel_is_read_once_before_the_first_post(bot: Bot) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER, start_topic="dash")
    await restore(bot, await snapshot(bot), MONDAY)

    await bot.tick(SLOT)
    await bot.weeks(2)

    assert sorted(bot.sender.read) == [CHANNEL, OTHER]
    assert bot.topics() == list(SLUGS[:3])
    async with bot.process.database.read() as connection:
        assert not await snapshot_taken_at(connection)


async def test_a_manual_post_after_the_backup_counts_as_used(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(1)
    saved, taken_at = await snapshot(bot), bot.clock.now()
    bot.clock.move(days=2)
    assert await bot.post_now()

    await restore(bot, saved, taken_at)
    await bot.weeks(1)

    assert bot.topics() == ["flask", "django", "dash"]
    subscription = await bot.subscription()
    assert subscription.last_slot
    assert subscription.last_slot.instant == SLOT + WEEK


async def test_a_topic_chosen_before_the_backup_is_not_posted_again(bot: Bot) -> None:
    await bot.subscribe()
    await bot.choose("numpy")
    saved = await snapshot(bot)
    await bot.weeks(1)

    await restore(bot, saved, MONDAY)
    await bot.tick(hours=1)
    await bot.weeks(2)

    assert bot.topics() == ["numpy", "flask", "django"]


async def test_a_round_that_began_after_the_backup_continues(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(2)
    saved, taken_at = await snapshot(bot), bot.clock.now()
    await bot.weeks(3)

    await restore(bot, saved, taken_at)
    await bot.tick(hours=1)
    await bot.weeks(1)

    assert bot.topics() == [*SLUGS, "flask", "django"]
    assert (await bot.subscription()).round == 2


async def test_a_delivery_pending_in_the_backup_is_looked_up_before_it_is_sent(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord cannot be reached", timedelta(minutes=5))]
    bot.clock.instant = SLOT
    await bot.process.dispatcher.run()
    saved = await snapshot(bot)
    [pending] = saved["deliveries"]
    assert (pending["state"], pending["first_attempt_at"]) == (State.PENDING, None)
    await bot.tick(minutes=6)
    assert bot.topics() == ["flask"]
    bot.sender.forget_nonces()

    await restore(bot, saved, SLOT + timedelta(minutes=1))
    await bot.tick(minutes=10)

    assert bot.topics() == ["flask"]
    assert (await bot.last()).state is State.SENT
    assert bot.sender.look_ups == 2  # once because it was late, and once after the restore


async def test_a_slot_without_a_post_is_posted_after_the_restore(bot: Bot) -> None:
    await bot.subscribe()
    await restore(bot, await snapshot(bot), MONDAY)

    await bot.tick(SLOT + timedelta(hours=2))

    assert bot.topics() == ["flask"]


async def test_slots_since_the_backup_are_unverified_if_the_history_is_unreadable(bot: Bot) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(2)
    bot.sender.reading = [UNREADABLE]

    await restore(bot, saved, MONDAY)
    await bot.tick(hours=1)

    assert bot.topics() == ["flask", "django"]
    assert await states(bot) == [("flask", State.UNVERIFIED), ("django", State.UNVERIFIED)]
    assert (await bot.last()).reason == "Read Message History is missing"
    await bot.weeks(1)
    assert bot.topics() == ["flask", "django", "dash"]


async def test_an_unreadable_history_does_not_prevent_a_post_after_downtime(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.reading = [UNREADABLE]

    await bot.tick(SLOT + timedelta(hours=2))

    assert bot.topics() == ["flask"]
    assert (await bot.last()).state is State.SENT


@pytest.mark.parametrize("trouble", [RetryableError("Discord cannot be reached"), ZeroDivisionError("unexpected")])
async def test_a_failed_look_up_is_retried_before_anything_is_posted(bot: Bot, trouble: Exception) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(1)
    bot.sender.reading = [trouble] * 3

    await restore(bot, saved, MONDAY)
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert len(bot.sender.read) == 4
    assert await states(bot) == [("flask", State.SENT)]


async def test_a_look_up_is_abandoned_after_the_last_attempt(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weekbot.delivery.reconciliations.MAX_ATTEMPTS", 3)
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(1)
    bot.sender.reading = [RetryableError("Discord cannot be reached")] * 5

    await restore(bot, saved, MONDAY)
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert await states(bot) == [("flask", State.UNVERIFIED)]
    assert len(bot.sender.read) == 3


async def test_a_long_history_is_read_in_pages(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(3)
    read_all, cursors = bot.sender.posts_in, list[str | None]()

    async def in_pages(subscription: Any, since: datetime, cursor: str | None) -> HistoryPage:
        cursors.append(cursor)
        posts = (await read_all(subscription, since, None)).posts
        page = posts[int(cursor or 0) :][:1]
        return HistoryPage(page, str(int(cursor or 0) + 1) if page else None)

    monkeypatch.setattr(bot.sender, "posts_in", in_pages)
    await restore(bot, saved, MONDAY)
    await bot.tick(hours=1)

    assert cursors == [None, "1", "2", "3"]
    assert await states(bot) == [(slug, State.SENT) for slug in SLUGS[:3]]
    assert bot.topics() == list(SLUGS[:3])


async def test_the_last_post_found_gets_its_steps(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    saved = await snapshot(bot)
    await bot.weeks(2)
    last = (await bot.last()).id
    bot.sender.steps.clear()

    await restore(bot, saved, MONDAY)
    await bot.tick(hours=1)

    assert bot.sender.steps == [(StepName.PIN, last)]
    assert (await bot.subscription()).pinned_message_id == (await bot.last()).message_id


async def test_manual_posts_are_refused_during_the_look_up(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(1)
    await restore(bot, saved, MONDAY)
    bot.sender.reading = [RetryableError("Discord cannot be reached", timedelta(minutes=5))]

    with monkeypatch.context() as patched:
        patched.setattr(verification, "LONGEST_WAIT_SECONDS", 0.1)
        with pytest.raises(LookingBackError):
            await bot.post_now()
        with pytest.raises(LookingBackError):
            await bot.skip()
    async with asyncio.timeout(10):
        while await bot.process.reconciliations.next_at() != bot.clock.now() + timedelta(minutes=5):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await bot.tick(minutes=6)
    assert await bot.post_now()
    assert bot.topics() == ["flask", "django"]


async def test_a_manual_post_waits_for_the_look_up(bot: Bot) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(1)
    await restore(bot, saved, MONDAY)

    assert await bot.post_now()
    assert bot.topics() == ["flask", "django"]


async def test_a_manual_post_requested_as_the_look_up_ends_is_sent(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(1)
    await restore(bot, saved, MONDAY)
    reconciliations, manual_posts = bot.process.reconciliations, []

    async def record_and_post(*arguments: Any) -> FoundPosts:
        recorded = await Reconciliations.record_posts(reconciliations, *arguments)
        manual_posts.append(asyncio.create_task(bot.post_now()))
        for _ in range(20):
            await bot.subscription()  # gives the manual post time for its queries
        return recorded

    monkeypatch.setattr(reconciliations, "record_posts", record_and_post)
    await bot.tick(minutes=1)
    assert await manual_posts[0]
    assert bot.topics() == ["flask", "django"]


async def test_a_left_server_is_read_after_the_bot_rejoins(bot: Bot) -> None:
    await bot.subscribe()
    await bot.process.guilds.mark_left([GUILD], MONDAY)
    await restore(bot, await snapshot(bot), MONDAY)
    await bot.tick(SLOT)
    assert (bot.sender.read, bot.topics()) == ([], [])

    await bot.process.guilds.mark_joined([GUILD], SLOT)
    await bot.tick(minutes=1)
    assert (bot.sender.read, bot.topics()) == ([CHANNEL], ["flask"])


async def test_a_start_within_minutes_of_a_slot_reads_no_history(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT + timedelta(minutes=9))
    assert (bot.sender.read, bot.topics()) == ([], ["flask"])


async def test_a_restore_during_a_routine_look_up_is_treated_as_a_restore(bot: Bot) -> None:
    """The snapshot contains an unfinished look-up that wasn't caused by a restore."""
    await bot.subscribe()
    bot.sender.quiet = False
    bot.sender.reading = [RetryableError("Discord cannot be reached", timedelta(hours=1))]
    await bot.tick(SLOT + timedelta(minutes=20))
    async with bot.process.database.write() as connection:
        await connection.execute(update(reconciliations).values(retry_at=MONDAY))
    saved = await snapshot(bot)
    assert [row["restored"] for row in saved["reconciliations"]] == [False]
    bot.sender.reading = [UNREADABLE]

    await restore(bot, saved, bot.clock.now())
    await bot.tick(minutes=1)

    assert await states(bot) == [("flask", State.UNVERIFIED)]
