"""A ledger of an earlier time, over channels with posts from after it: none is doubled, and topics go on in order."""

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
    """Put back what was saved, stamped if it says when it was taken, and start anew."""
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
    """Topics and what became of them, by slot."""
    query = select(deliveries.c.topic, deliveries.c.state).order_by(deliveries.c.slot)
    async with bot.process.database.read() as connection:
        return [(row.topic, row.state) for row in await connection.execute(query)]


@pytest.mark.parametrize("stamped", [True, False])
async def test_what_was_posted_after_the_backup_is_recorded_as_it_was(bot: Bot, stamped: bool) -> None:
    await bot.subscribe()
    await bot.weeks(1)
    saved, taken_at = await snapshot(bot), bot.clock.now()
    await bot.weeks(2)
    lived = {row["id"]: row for row in (await snapshot(bot))["deliveries"]}

    await restore(bot, saved, taken_at if stamped else None)
    await bot.tick(hours=1)

    assert bot.topics() == list(SLUGS[:3])
    again = {row["id"]: row for row in (await snapshot(bot))["deliveries"]}
    same = ("slot", "topic", "round", "scheduled", "state", "message_id", "message_channel_id")
    # A slot of which nothing is known but its post is not passed over.
    assert {id_: [row[name] for name in same] for id_, row in again.items()} == {
        id_: [row[name] for name in same] for id_, row in lived.items()
    }
    await bot.weeks(2)
    assert bot.topics() == [*SLUGS, "flask"]


async def test_each_channel_is_looked_at_once_before_anything_is_posted(bot: Bot) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER, start_topic="dash")
    await restore(bot, await snapshot(bot), MONDAY)

    await bot.tick(SLOT)
    await bot.weeks(2)

    assert sorted(bot.sender.read) == [CHANNEL, OTHER]
    assert bot.topics() == list(SLUGS[:3])
    async with bot.process.database.read() as connection:
        assert not await snapshot_taken_at(connection)


async def test_a_post_by_hand_after_the_backup_has_used_up_its_topic(bot: Bot) -> None:
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


async def test_a_topic_that_was_chosen_before_the_backup_is_used_up_by_its_post(bot: Bot) -> None:
    await bot.subscribe()
    await bot.choose("numpy")
    saved = await snapshot(bot)
    await bot.weeks(1)

    await restore(bot, saved, MONDAY)
    await bot.tick(hours=1)
    await bot.weeks(2)

    assert bot.topics() == ["numpy", "flask", "django"]


async def test_a_new_round_that_began_after_the_backup_goes_on(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(2)
    saved, taken_at = await snapshot(bot), bot.clock.now()
    await bot.weeks(3)

    await restore(bot, saved, taken_at)
    await bot.tick(hours=1)
    await bot.weeks(1)

    assert bot.topics() == [*SLUGS, "flask", "django"]
    assert (await bot.subscription()).round == 2


async def test_what_was_on_its_way_in_the_backup_is_looked_up_also_if_it_was_never_tried(bot: Bot) -> None:
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
    assert bot.sender.look_ups == 2  # the first one before it was sent, as it was late


async def test_what_was_not_posted_after_the_backup_is_posted(bot: Bot) -> None:
    await bot.subscribe()
    await restore(bot, await snapshot(bot), MONDAY)

    await bot.tick(SLOT + timedelta(hours=2))

    assert bot.topics() == ["flask"]


async def test_where_the_history_cannot_be_read_slots_since_the_backup_are_unverified(bot: Bot) -> None:
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


async def test_after_a_mere_pause_a_history_that_cannot_be_read_keeps_no_post_back(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.reading = [UNREADABLE]

    await bot.tick(SLOT + timedelta(hours=2))

    assert bot.topics() == ["flask"]
    assert (await bot.last()).state is State.SENT


@pytest.mark.parametrize("trouble", [RetryableError("Discord cannot be reached"), ZeroDivisionError("unexpected")])
async def test_a_look_up_that_fails_is_made_again_and_nothing_is_posted_meanwhile(bot: Bot, trouble: Exception) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(1)
    bot.sender.reading = [trouble] * 3

    await restore(bot, saved, MONDAY)
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert len(bot.sender.read) == 4
    assert await states(bot) == [("flask", State.SENT)]


async def test_a_look_up_that_never_succeeds_ends(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weekbot.delivery.reconciliations.MAX_ATTEMPTS", 3)
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(1)
    bot.sender.reading = [RetryableError("Discord cannot be reached")] * 5

    await restore(bot, saved, MONDAY)
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert await states(bot) == [("flask", State.UNVERIFIED)]
    assert len(bot.sender.read) == 3


async def test_a_long_history_is_read_in_parts(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(3)
    whole, asked = bot.sender.posts_in, list[str | None]()

    async def in_parts(subscription: Any, since: datetime, cursor: str | None) -> HistoryPage:
        asked.append(cursor)
        posts = (await whole(subscription, since, None)).posts
        part = posts[int(cursor or 0) :][:1]
        return HistoryPage(part, str(int(cursor or 0) + 1) if part else None)

    monkeypatch.setattr(bot.sender, "posts_in", in_parts)
    await restore(bot, saved, MONDAY)
    await bot.tick(hours=1)

    assert asked == [None, "1", "2", "3"]
    assert await states(bot) == [(slug, State.SENT) for slug in SLUGS[:3]]
    assert bot.topics() == list(SLUGS[:3])


async def test_the_last_post_that_is_found_gets_its_steps(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    saved = await snapshot(bot)
    await bot.weeks(2)
    last = (await bot.last()).id
    bot.sender.steps.clear()

    await restore(bot, saved, MONDAY)
    await bot.tick(hours=1)

    assert bot.sender.steps == [(StepName.PIN, last)]
    assert (await bot.subscription()).pinned_message_id == (await bot.last()).message_id


async def test_nothing_is_posted_by_hand_before_the_look_up(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(1)
    await restore(bot, saved, MONDAY)
    bot.sender.reading = [RetryableError("Discord cannot be reached", timedelta(minutes=5))]

    with monkeypatch.context() as patience:
        patience.setattr(verification, "LONGEST_WAIT_SECONDS", 0.1)
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


async def test_a_post_by_hand_waits_for_the_look_up(bot: Bot) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(1)
    await restore(bot, saved, MONDAY)

    assert await bot.post_now()
    assert bot.topics() == ["flask", "django"]


async def test_a_post_by_hand_that_arrives_as_the_look_up_ends_is_posted(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.subscribe()
    saved = await snapshot(bot)
    await bot.weeks(1)
    await restore(bot, saved, MONDAY)
    reconciliations, arrived = bot.process.reconciliations, []

    async def found(*arguments: Any) -> FoundPosts:
        recorded = await Reconciliations.record_posts(reconciliations, *arguments)
        arrived.append(asyncio.create_task(bot.post_now()))
        for _ in range(20):
            await bot.subscription()  # as much time as the database needs for what the post requests
        return recorded

    monkeypatch.setattr(reconciliations, "record_posts", found)
    await bot.tick(minutes=1)
    assert await arrived[0]
    assert bot.topics() == ["flask", "django"]


async def test_a_server_that_was_left_is_looked_at_when_the_bot_is_back(bot: Bot) -> None:
    await bot.subscribe()
    await bot.process.guilds.mark_left([GUILD], MONDAY)
    await restore(bot, await snapshot(bot), MONDAY)
    await bot.tick(SLOT)
    assert (bot.sender.read, bot.topics()) == ([], [])

    await bot.process.guilds.mark_joined([GUILD], SLOT)
    await bot.tick(minutes=1)
    assert (bot.sender.read, bot.topics()) == ([CHANNEL], ["flask"])


async def test_a_start_within_minutes_of_a_slot_asks_nothing(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT + timedelta(minutes=9))
    assert (bot.sender.read, bot.topics()) == ([], ["flask"])


async def test_a_restore_in_the_midst_of_a_look_up_is_no_less_certain(bot: Bot) -> None:
    """What was looked up in case is looked up for certain where that state was restored."""
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
