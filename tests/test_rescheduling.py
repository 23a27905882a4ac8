"""Next slots that are wrong because of a wrong clock or changed time zone rules are corrected automatically."""

from collections.abc import AsyncIterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from fakes import CHANNEL, MONDAY, OTHER, SLOT, Bot
from processes import Place, place_in, posted, posts
from test_schedule import instants, weeklies
from weekbot.db.tables import deliveries, steps, subscriptions
from weekbot.delivery.errors import RetryableError
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import Delivery, State, scheduled_id
from weekbot.domain.planning import planner
from weekbot.domain.schedule import WEEK, Slot, Weekly, next_slot, recompute_slot
from weekbot.store.reports.delivery_history import DeliveryFilter, latest_deliveries

MINUTE, DAY, YEAR = timedelta(minutes=1), timedelta(days=1), timedelta(days=365)
DISCORD_EPOCH = datetime.fromisoformat("2015-01-01T00:00:00+00:00")


async def store(bot: Bot, *statements: Any) -> None:
    async with bot.process.database.write() as connection:
        for statement in statements:
            await connection.execute(statement)


async def ledger(bot: Bot) -> list[Delivery]:
    """Return all deliveries, the latest first."""
    return [entry.delivery async for entry in latest_deliveries(bot.process.database, DeliveryFilter(), 200)]


def id_at(instant: datetime) -> int:
    """Return the ID of a message sent at that instant."""
    return int((instant - DISCORD_EPOCH) / timedelta(milliseconds=1)) << 22


async def weekly_posts(bot: Bot, first: datetime, weeks: int) -> None:
    for number in range(weeks):
        await bot.tick(first + number * WEEK)


# A clock that was ahead


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
async def test_each_week_has_its_post_after_the_clock_was_a_year_ahead(bot: Bot, restarted: bool) -> None:
    for channel_id in (CHANNEL, OTHER):
        await bot.subscribe(channel_id)
    await bot.tick(SLOT)
    await bot.tick(SLOT + YEAR + 3 * DAY)
    assert len([each for each in await ledger(bot) if each.state is State.MISSED]) == 2 * 52
    if restarted:
        await bot.process.restart()
    await bot.tick(SLOT + 2 * MINUTE)
    assert {each.state for each in await ledger(bot)} == {State.SENT}
    assert (await bot.subscription()).next_slot.instant == SLOT + WEEK
    await weekly_posts(bot, SLOT + WEEK, 3)
    assert bot.topics() == bot.topics(OTHER) == ["flask", "django", "dash", "numpy"]


@pytest.mark.parametrize("ahead", [2 * DAY, 9 * DAY, YEAR], ids=str)
async def test_a_slot_missed_because_of_a_wrong_clock_is_posted_once_the_clock_is_right(
    bot: Bot, ahead: timedelta
) -> None:
    await bot.subscribe()
    await bot.tick(SLOT - MINUTE + ahead)
    assert (await ledger(bot))[-1].state is State.MISSED
    await bot.tick(SLOT + MINUTE)
    assert bot.topics()[0] == "flask"
    assert (await ledger(bot))[0].slot <= SLOT
    await bot.tick(SLOT + 2 * MINUTE)
    assert (await bot.subscription()).next_slot.instant == SLOT + WEEK


async def test_a_leader_corrects_the_slots_of_another_process_with_a_wrong_clock(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    other = bot.another_process(bot.sender)
    bot.clock.instant = SLOT + YEAR + 3 * DAY
    await other.dispatcher.run()
    await other.close()
    await bot.tick(SLOT + 20 * MINUTE)
    assert (await bot.subscription()).next_slot.instant == SLOT + WEEK


async def test_a_next_slot_computed_with_a_wrong_clock_is_recomputed(bot: Bot) -> None:
    await bot.subscribe()
    await bot.change(subscription_rules.pause)
    await bot.change(lambda current: subscription_rules.resume(current, SLOT + YEAR))
    assert (await bot.subscription()).next_slot.instant > SLOT + YEAR
    await bot.tick(MONDAY)
    await bot.tick(SLOT)
    assert bot.topics() == ["flask"]


async def test_a_retry_scheduled_by_a_wrong_clock_is_moved_to_now(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    bot.sender.following = [RetryableError("later")]
    await bot.tick(SLOT)
    await store(bot, update(steps).values(retry_at=SLOT + YEAR))
    await bot.process.restart()
    await bot.tick(minutes=1)
    assert len(bot.step_names()) == 1


async def test_a_delivery_claimed_too_early_is_withdrawn_and_its_topic_chosen_again(bot: Bot) -> None:
    await bot.subscribe()
    await bot.change(lambda current: subscription_rules.choose(current, "numpy"))
    await store(bot, update(subscriptions).values(next_slot=SLOT + 52 * WEEK, next_week=(MONDAY + 52 * WEEK).date()))
    bot.clock.instant = SLOT + 52 * WEEK
    due = await bot.process.subscriptions.due(bot.clock.now(), 1)
    [claimed] = await bot.process.deliveries.claim_due(due, planner(bot.live_library.current), bot.clock.now())
    assert (claimed.topic, claimed.subscription.chosen_topic) == ("numpy", None)
    await bot.tick(MONDAY)
    assert await ledger(bot) == []
    await bot.tick(SLOT)
    assert bot.topics() == ["numpy"]


async def test_a_post_sent_with_a_wrong_clock_counts_for_the_actual_week(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(MONDAY + 52 * WEEK + 2 * timedelta(hours=1))
    assert bot.topics() == ["flask"]
    await store(bot, update(deliveries).where(deliveries.c.state == State.SENT).values(message_id=id_at(MONDAY)))
    await bot.tick(SLOT)
    [sent] = await ledger(bot)
    assert (sent.slot, sent.sent_at) == (MONDAY, MONDAY)
    assert (await bot.subscription()).next_slot.instant == SLOT + WEEK
    await weekly_posts(bot, SLOT + WEEK, 52)
    assert len(bot.topics()) == 53
    assert len({each.id for each in await ledger(bot)}) == 53


async def test_a_clock_that_is_behind_changes_no_deliveries(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)
    await bot.tick(SLOT + WEEK + 2 * DAY)
    await store(bot, update(deliveries).values(message_id=id_at(SLOT)))
    before = await ledger(bot)
    await bot.process.restart()
    await bot.tick(SLOT - YEAR)
    assert [(each.id, each.slot, each.state) for each in await ledger(bot)] == [
        (each.id, each.slot, each.state) for each in before
    ]


# Changed time zone rules


async def move_next_slot(bot: Bot, by: timedelta, channel_id: int = CHANNEL) -> None:
    """Move the stored next slot, as if it had been computed with other time zone rules."""
    instant = (await bot.subscription(channel_id)).next_slot.instant
    this = update(subscriptions).where(subscriptions.c.channel_id == channel_id)
    await store(bot, this.values(next_slot=instant + by))


@pytest.mark.parametrize("hours", [-3, -1, 1, 3])
async def test_a_slot_follows_the_time_zone_rules_at_the_start(bot: Bot, hours: int) -> None:
    await bot.subscribe(timezone="Europe/Berlin")
    await bot.subscribe(OTHER, timezone="Asia/Tokyo")
    right = [(await bot.subscription(channel_id)).next_slot for channel_id in (CHANNEL, OTHER)]
    await move_next_slot(bot, timedelta(hours=hours))
    await bot.process.restart()
    await bot.tick(MONDAY)
    assert [(await bot.subscription(channel_id)).next_slot for channel_id in (CHANNEL, OTHER)] == right


async def test_a_slot_due_only_by_the_old_rules_waits_for_the_new_time(bot: Bot) -> None:
    await bot.subscribe()
    await move_next_slot(bot, -timedelta(hours=1))
    await bot.process.restart()
    await bot.tick(SLOT - timedelta(minutes=30))
    assert bot.topics() == []
    await bot.tick(SLOT)
    assert bot.topics() == ["flask"]


async def test_a_change_of_time_zone_rules_causes_no_second_post_in_a_local_week(bot: Bot) -> None:
    """A country crosses the date line: the stored instant was on a Monday and is on a Sunday now."""
    await bot.subscribe(at=time(0, 30))
    await bot.tick(MONDAY + WEEK)
    await move_next_slot(bot, -DAY)
    await bot.process.restart()
    await bot.tick(MONDAY + 2 * WEEK - DAY)
    assert len(bot.topics()) == 1
    await bot.tick(MONDAY + 2 * WEEK)
    assert len(bot.topics()) == 2


async def test_many_channels_are_rescheduled_in_batches(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weekbot.store.rescheduling.BATCH_SIZE", 3)
    for number in range(10):
        await bot.subscribe(100 + number, timezone=("UTC", None)[number % 2])
    await store(bot, update(subscriptions).values(next_slot=SLOT + timedelta(hours=1)))
    await bot.tick(MONDAY)
    async with bot.process.database.read() as connection:
        assert set(await connection.scalars(select(subscriptions.c.next_slot))) == {SLOT}


@given(weekly=weeklies, start=instants, later=st.timedeltas(timedelta(), 9 * DAY), has_last=st.booleans())
@settings(deadline=None)
def test_a_correct_slot_is_kept(weekly: Weekly, start: datetime, later: timedelta, *, has_last: bool) -> None:
    last = next_slot(weekly, start) if has_last else None
    slot = next_slot(weekly, start, last)
    assert recompute_slot(weekly, slot, last, start + later) == slot


def test_a_slot_far_in_the_future_is_replaced_by_the_next_one() -> None:
    weekly = Weekly(0, time(9), ZoneInfo("UTC"))
    far = Slot(SLOT + 52 * WEEK, date(2027, 11, 22), weekly.zone)
    assert recompute_slot(weekly, far, None, MONDAY).instant == SLOT
    assert recompute_slot(weekly, far, next_slot(weekly, MONDAY), MONDAY).instant == SLOT + WEEK


# As a process


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


async def test_a_bot_starts_with_slots_claimed_by_a_clock_a_year_ahead(place: Place) -> None:
    channel = place.guild.add_text_channel("weekly")
    slot = await place.enter(channel)
    week = slot.date() - timedelta(days=slot.weekday())
    missed = {"subscription_id": 1, "topic": "flask", "round": 1, "scheduled": True, "chosen": False, "attempts": 0}
    claimed_slots = [
        missed | {"id": scheduled_id(channel.id, week + n * WEEK), "slot": slot + n * WEEK, "state": State.MISSED}
        for n in range(52)
    ]
    last, following = 51 * WEEK, 52 * WEEK
    values = {"last_slot": slot + last, "last_week": week + last, "last_zone": "UTC"}
    values |= {"next_slot": slot + following, "next_week": week + following}
    async with place.database() as database, database.write() as connection:
        await connection.execute(insert(deliveries), claimed_slots)
        await connection.execute(update(subscriptions).values(**values))
    place.more = {"WEEKBOT_LOG_LEVEL": "WARNING"}
    async with place.running(slot + timedelta(seconds=5)):
        await posted(place, channel)
    assert len(posts(place, channel)) == 1
