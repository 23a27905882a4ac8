"""A slot whose week is already in the ledger: it is reopened if nothing was sent, and never dropped silently."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert

from fakes import CHANNEL, SLOT, SLUGS, Bot
from weekbot.db.snapshot_marker import mark_snapshot
from weekbot.db.tables import deliveries
from weekbot.delivery.errors import HistoryUnreadableError
from weekbot.domain.deliveries import Delivery, State, scheduled_id
from weekbot.domain.schedule import WEEK
from weekbot.store.rows import row_of

LEGACY_ID = "f81d4fae7dec11d0a76500a0"
"""An ID as earlier versions generated it."""


async def insert_delivery(bot: Bot, id_: str, state: State, *, scheduled: bool = True, **more: object) -> None:
    """Insert a delivery for the channel's next slot."""
    subscription = await bot.subscription()
    row = Delivery(id_, subscription, SLOT, "numpy", 1, scheduled, False, state)
    async with bot.process.database.write() as connection:
        await connection.execute(insert(deliveries).values(row_of(replace(row, **more))))  # type: ignore[arg-type]


async def id_of_week(bot: Bot) -> str:
    return scheduled_id(CHANNEL, (await bot.subscription()).next_slot.week)


@pytest.mark.parametrize("state", [State.MISSED, State.BLOCKED])
@pytest.mark.parametrize("earlier", [True, False], ids=["an earlier version's id", "the week's id"])
async def test_a_delivery_that_was_not_sent_is_reopened(bot: Bot, earlier: bool, state: State) -> None:
    await bot.subscribe()
    id_ = LEGACY_ID if earlier else await id_of_week(bot)
    await insert_delivery(bot, id_, state, attempts=2, reason="a wrong clock")
    await bot.tick(SLOT)
    assert bot.topics() == ["flask"]
    last = await bot.last()
    assert (last.id, last.state, last.topic, last.attempts) == (id_, State.SENT, "flask", 3)
    await bot.weeks(1)
    assert bot.topics() == list(SLUGS[:2])


@pytest.mark.parametrize("state", [State.SENT, State.UNVERIFIED, State.UNKNOWN])
@pytest.mark.parametrize("earlier", [True, False], ids=["an earlier version's id", "the week's id"])
async def test_a_week_with_a_post_gets_no_second_one_and_the_log_explains_it(
    bot: Bot, earlier: bool, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await bot.subscribe()
    await insert_delivery(bot, LEGACY_ID if earlier else await id_of_week(bot), state)
    await bot.tick(SLOT)
    assert bot.topics() == []
    assert f"nothing is posted, as this week's delivery is in the ledger already ({state})" in caplog.text
    await bot.weeks(1)
    assert len(bot.topics()) == 1


async def test_a_pending_delivery_is_posted_once(bot: Bot) -> None:
    await bot.subscribe()
    await insert_delivery(bot, LEGACY_ID, State.PENDING, retry_at=SLOT)
    await bot.tick(SLOT)
    assert bot.topics() == ["numpy"]


@pytest.mark.parametrize("state", [State.SENT, State.SKIPPED])
async def test_a_manual_post_or_skip_at_that_time_does_not_use_the_week(bot: Bot, state: State) -> None:
    await bot.subscribe()
    await insert_delivery(bot, LEGACY_ID, state, scheduled=False)
    await bot.tick(SLOT)
    assert bot.topics() == ["flask"]
    last = await bot.last()
    assert last.id == scheduled_id(CHANNEL, SLOT.date())
    assert timedelta() < last.slot - SLOT < timedelta(seconds=1)
    await bot.tick(SLOT + WEEK)
    assert bot.topics() == list(SLUGS[:2])


async def test_slots_after_a_week_in_the_ledger_are_unverified(bot: Bot) -> None:
    """The ledger was restored, and the channel's history is unreadable."""
    await bot.subscribe()
    await insert_delivery(bot, await id_of_week(bot), State.SENT)
    async with bot.process.database.write() as connection:
        await mark_snapshot(connection, SLOT - WEEK)
    bot.sender.reading = [HistoryUnreadableError("Read Message History is missing")]
    await bot.tick(SLOT + WEEK)
    assert bot.topics() == []
    assert (await bot.last()).state is State.UNVERIFIED
