"""The preflight: what would keep a post from succeeding is found a day ahead, and once more an hour ahead."""

from datetime import datetime, timedelta

import pytest

from fakes import CHANNEL, GUILD, OTHER, SLOT, Bot, FakeClock, FakeInspection, FakeNoticeSender
from weekbot.delivery.errors import PermanentError
from weekbot.delivery.preflight import next_check
from weekbot.domain import subscription_rules
from weekbot.store.subscriptions import Change

SECOND, MINUTE, HOUR, DAY, WEEK = (timedelta(**{f"{unit}s": 1}) for unit in ("second", "minute", "hour", "day", "week"))
NEXT = SLOT + WEEK
GONE = "the channel is gone"


@pytest.fixture
def bot(bot: Bot, clock: FakeClock) -> Bot:
    """Its clock stands after this week's slot, so that the next one is a week away."""
    clock.instant = SLOT + MINUTE
    return bot


@pytest.fixture
def inspection(bot: Bot) -> FakeInspection:
    return bot.process.inspection


async def look(bot: Bot, at: datetime) -> int:
    """Run the preflight at that instant, and tell what it found; how many channels were looked at."""
    before = len(bot.process.inspection.inspected)
    bot.clock.instant = at
    await bot.process.preflight.run()
    await bot.process.dispatcher.run()
    return len(bot.process.inspection.inspected) - before


async def looks(bot: Bot, *instants: datetime) -> list[int]:
    return [await look(bot, at) for at in instants]


# When it looks


async def test_it_looks_first_a_day_ahead_and_last_an_hour_ahead(bot: Bot) -> None:
    await bot.subscribe()

    first = await looks(bot, NEXT - DAY - SECOND, NEXT - DAY, NEXT - DAY + MINUTE)
    last = await looks(bot, NEXT - HOUR - SECOND, NEXT - HOUR, NEXT - HOUR + MINUTE, NEXT - SECOND)

    assert (first, last) == ([0, 1, 0], [0, 1, 0, 0])


async def test_it_looks_again_before_each_weeks_slot(bot: Bot) -> None:
    await bot.subscribe()
    for slot in (NEXT, NEXT + WEEK, NEXT + 2 * WEEK):
        assert await looks(bot, slot - DAY - MINUTE, slot - DAY, slot - HOUR) == [0, 1, 1]
        await bot.tick(slot)

    assert len(bot.topics()) == 3


async def test_what_is_subscribed_within_the_last_hour_is_looked_at_once(bot: Bot) -> None:
    bot.clock.instant = NEXT - 10 * MINUTE
    await bot.subscribe()

    assert await looks(bot, NEXT - 9 * MINUTE, NEXT - 8 * MINUTE, NEXT - MINUTE) == [1, 0, 0]


async def test_after_days_without_weekbot_it_looks_once_and_not_for_each_look_that_was_due(bot: Bot) -> None:
    await bot.subscribe()

    assert await looks(bot, NEXT - MINUTE, NEXT - MINUTE) == [1, 0]


@pytest.mark.parametrize("given", [{"pin": True}, {"ping_role_id": 5}, {"weekday": 0}], ids=str)
async def test_an_edit_has_it_look_again(bot: Bot, given: dict[str, int]) -> None:
    await bot.subscribe()
    await looks(bot, NEXT - DAY)

    await bot.subscribe(**given)

    assert await looks(bot, NEXT - DAY + MINUTE, NEXT - DAY + 2 * MINUTE, NEXT - HOUR) == [1, 0, 1]


async def test_a_slot_that_is_moved_is_looked_at_a_day_before_it(bot: Bot) -> None:
    await bot.subscribe()
    await looks(bot, NEXT - DAY)

    await bot.subscribe(weekday=3)

    thursday = NEXT + timedelta(days=3)
    assert await looks(bot, NEXT - HOUR, thursday - DAY - MINUTE, thursday - DAY, thursday - HOUR) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "edit", [subscription_rules.pause, subscription_rules.unsubscribe], ids=["paused", "unsubscribed"]
)
async def test_a_channel_that_gets_no_post_is_not_looked_at(bot: Bot, edit: Change) -> None:
    await bot.subscribe()
    await bot.change(edit)

    assert await looks(bot, NEXT - DAY, NEXT - HOUR) == [0, 0]


async def test_a_channel_that_goes_on_after_a_pause_is_looked_at(bot: Bot) -> None:
    await bot.subscribe()
    await bot.change(subscription_rules.pause)
    await looks(bot, NEXT - DAY)

    await bot.change(lambda current: subscription_rules.resume(current, bot.clock.now()))

    assert await looks(bot, NEXT - DAY + MINUTE, NEXT - HOUR) == [1, 1]


async def test_a_server_that_was_left_is_not_looked_at(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await bot.process.guilds.mark_left([GUILD], bot.clock.now())

    assert await looks(bot, NEXT - DAY, NEXT - HOUR) == [0, 0]
    assert notice_sender.posts == 0


@pytest.mark.long
async def test_a_thousand_are_all_looked_at_in_one_run(bot: Bot) -> None:
    for channel_id in range(1000):
        await bot.subscribe(1000 + channel_id)

    assert await look(bot, NEXT - DAY) == 1000
    assert sorted(bot.process.inspection.inspected) == list(range(1000, 2000))


def test_the_last_look_is_an_hour_before_the_slot() -> None:
    assert next_check(SLOT, SLOT - DAY) == SLOT - HOUR
    assert next_check(SLOT, SLOT - HOUR - SECOND) == SLOT - HOUR
    assert next_check(SLOT, SLOT - HOUR) is None
    assert next_check(SLOT, SLOT + DAY) is None


# What it finds


async def test_what_is_wrong_is_remembered_and_told_once(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE

    await looks(bot, NEXT - DAY, NEXT - HOUR)

    assert (await bot.subscription()).warning == GONE
    assert [channel_id for channel_id, _ in notice_sender.sent] == [CHANNEL]


async def test_where_nothing_is_wrong_nothing_is_told(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER)
    inspection.problems[OTHER] = GONE

    await looks(bot, NEXT - DAY, NEXT - HOUR)

    assert (await bot.subscription()).warning is None
    assert [channel_id for channel_id, _ in notice_sender.sent] == [OTHER]


async def test_what_breaks_after_the_first_look_is_told_at_the_last(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    await look(bot, NEXT - DAY)
    inspection.problems[CHANNEL] = GONE

    await look(bot, NEXT - HOUR)

    assert len(notice_sender.sent) == 1


async def test_what_was_put_right_is_forgotten_and_told_again_should_it_come_back(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await look(bot, NEXT - DAY)
    inspection.problems.clear()
    await look(bot, NEXT - HOUR)
    assert (await bot.subscription()).warning is None
    await bot.tick(NEXT)

    inspection.problems[CHANNEL] = GONE
    await look(bot, NEXT + WEEK - DAY)

    assert len(notice_sender.sent) == 2


async def test_what_stays_wrong_for_weeks_is_told_once(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = "the role to ping is gone"
    for slot in (NEXT, NEXT + WEEK, NEXT + 2 * WEEK):
        await looks(bot, slot - DAY, slot - HOUR)
        await bot.tick(slot)

    assert len(bot.topics()) == 3
    assert len(notice_sender.sent) == 1


async def test_an_edit_that_puts_nothing_right_has_it_told_again(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await look(bot, NEXT - DAY)
    await bot.subscribe(pin=True)

    await look(bot, NEXT - DAY + MINUTE)

    assert len(notice_sender.sent) == 2


async def test_a_warning_that_comes_true_is_told_of_as_a_refusal_once_more(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await looks(bot, NEXT - DAY, NEXT - HOUR)
    bot.sender.before = [PermanentError(GONE)] * 3
    for slot in (NEXT, NEXT + WEEK, NEXT + 2 * WEEK):
        await bot.tick(slot)
        await looks(bot, slot + WEEK - DAY, slot + WEEK - HOUR)

    assert ["There is a problem with" in text for _, text in notice_sender.sent] == [True, False]


async def test_a_channel_that_is_blocked_already_is_not_warned_of(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    bot.sender.before = [PermanentError(GONE)]
    await bot.tick(NEXT)
    inspection.problems[CHANNEL] = GONE

    await looks(bot, NEXT + WEEK - DAY, NEXT + WEEK - HOUR)

    assert ["There is a problem with" in text for _, text in notice_sender.sent] == [False]


async def test_it_never_keeps_a_post_from_being_tried(bot: Bot, inspection: FakeInspection) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await looks(bot, NEXT - DAY, NEXT - HOUR)

    await bot.tick(NEXT)

    assert bot.topics() == ["flask"]


# What it cannot see


async def test_an_outage_changes_nothing_and_is_looked_at_again_in_ten_minutes(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    inspection.unavailable = {GUILD}

    at = NEXT - DAY
    assert await looks(bot, at, at + MINUTE, at + 9 * MINUTE, at + 10 * MINUTE, at + 11 * MINUTE) == [1, 0, 0, 1, 0]
    assert (await bot.subscription()).warning is None
    assert notice_sender.posts == 0

    inspection.unavailable.clear()
    assert await looks(bot, at + 20 * MINUTE, at + 30 * MINUTE, NEXT - HOUR) == [1, 0, 1]
    assert len(notice_sender.sent) == 1


async def test_an_outage_heals_nothing(bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await look(bot, NEXT - DAY)
    inspection.unavailable = {GUILD}
    await look(bot, NEXT - HOUR)
    inspection.unavailable.clear()

    await look(bot, NEXT - HOUR + 10 * MINUTE)

    assert (await bot.subscription()).warning == GONE
    assert len(notice_sender.sent) == 1


async def test_an_outage_of_one_server_holds_up_no_other(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER, guild_id=GUILD + 1)
    inspection.problems = {CHANNEL: GONE, OTHER: GONE}
    inspection.unavailable = {GUILD}

    await look(bot, NEXT - DAY)

    assert [channel_id for channel_id, _ in notice_sender.sent] == [OTHER]


async def test_an_unexpected_error_in_one_look_holds_up_no_other_and_is_tried_again_later(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection, caplog: pytest.LogCaptureFixture
) -> None:
    for channel_id in range(100, 105):
        await bot.subscribe(channel_id)
    inspection.problems = dict.fromkeys(range(100, 105), GONE)
    inspection.failing = {102}

    assert await look(bot, NEXT - DAY) == 5
    assert sorted(channel_id for channel_id, _ in notice_sender.sent) == [100, 101, 103, 104]
    [record] = caplog.records
    assert "unexpected error" in record.getMessage()
    assert record.channel == 102  # type: ignore[attr-defined]

    inspection.failing.clear()
    assert await looks(bot, NEXT - DAY + MINUTE, NEXT - DAY + 10 * MINUTE) == [0, 1]
    assert len(notice_sender.sent) == 5
