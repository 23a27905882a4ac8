"""The preflight: checks each channel a day before its post and again an hour before."""

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
    """Set the clock to just after this week's slot, so that the next one is a week away."""
    clock.instant = SLOT + MINUTE
    return bot


@pytest.fixture
def inspection(bot: Bot) -> FakeInspection:
    return bot.process.inspection


async def run_preflight(bot: Bot, at: datetime) -> int:
    """Run the preflight at that instant and send its notices; return the number of channel checks."""
    before = len(bot.process.inspection.inspected)
    bot.clock.instant = at
    await bot.process.preflight.run()
    await bot.process.dispatcher.run()
    return len(bot.process.inspection.inspected) - before


async def check_counts(bot: Bot, *instants: datetime) -> list[int]:
    return [await run_preflight(bot, at) for at in instants]


# Times of the checks


async def test_a_channel_is_checked_a_day_before_and_an_hour_before_its_post(bot: Bot) -> None:
    await bot.subscribe()

    first = await check_counts(bot, NEXT - DAY - SECOND, NEXT - DAY, NEXT - DAY + MINUTE)
    last = await check_counts(bot, NEXT - HOUR - SECOND, NEXT - HOUR, NEXT - HOUR + MINUTE, NEXT - SECOND)

    assert (first, last) == ([0, 1, 0], [0, 1, 0, 0])


async def test_a_channel_is_checked_before_each_weeks_slot(bot: Bot) -> None:
    await bot.subscribe()
    for slot in (NEXT, NEXT + WEEK, NEXT + 2 * WEEK):
        assert await check_counts(bot, slot - DAY - MINUTE, slot - DAY, slot - HOUR) == [0, 1, 1]
        await bot.tick(slot)

    assert len(bot.topics()) == 3


async def test_a_channel_subscribed_within_the_last_hour_is_checked_once(bot: Bot) -> None:
    bot.clock.instant = NEXT - 10 * MINUTE
    await bot.subscribe()

    assert await check_counts(bot, NEXT - 9 * MINUTE, NEXT - 8 * MINUTE, NEXT - MINUTE) == [1, 0, 0]


async def test_missed_checks_are_made_up_for_by_one(bot: Bot) -> None:
    await bot.subscribe()

    assert await check_counts(bot, NEXT - MINUTE, NEXT - MINUTE) == [1, 0]


@pytest.mark.parametrize("given", [{"pin": True}, {"ping_role_id": 5}, {"weekday": 0}], ids=str)
async def test_an_edit_triggers_a_check(bot: Bot, given: dict[str, int]) -> None:
    await bot.subscribe()
    await check_counts(bot, NEXT - DAY)

    await bot.subscribe(**given)

    assert await check_counts(bot, NEXT - DAY + MINUTE, NEXT - DAY + 2 * MINUTE, NEXT - HOUR) == [1, 0, 1]


async def test_a_moved_slot_is_checked_a_day_before_it(bot: Bot) -> None:
    await bot.subscribe()
    await check_counts(bot, NEXT - DAY)

    await bot.subscribe(weekday=3)

    thursday = NEXT + timedelta(days=3)
    assert await check_counts(bot, NEXT - HOUR, thursday - DAY - MINUTE, thursday - DAY, thursday - HOUR) == [
        0,
        0,
        1,
        1,
    ]


@pytest.mark.parametrize(
    "edit", [subscription_rules.pause, subscription_rules.unsubscribe], ids=["paused", "unsubscribed"]
)
async def test_a_channel_without_posts_is_not_checked(bot: Bot, edit: Change) -> None:
    await bot.subscribe()
    await bot.change(edit)

    assert await check_counts(bot, NEXT - DAY, NEXT - HOUR) == [0, 0]


async def test_a_channel_is_checked_after_it_resumes(bot: Bot) -> None:
    await bot.subscribe()
    await bot.change(subscription_rules.pause)
    await check_counts(bot, NEXT - DAY)

    await bot.change(lambda current: subscription_rules.resume(current, bot.clock.now()))

    assert await check_counts(bot, NEXT - DAY + MINUTE, NEXT - HOUR) == [1, 1]


async def test_a_left_server_is_not_checked(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await bot.process.guilds.mark_left([GUILD], bot.clock.now())

    assert await check_counts(bot, NEXT - DAY, NEXT - HOUR) == [0, 0]
    assert notice_sender.posts == 0


@pytest.mark.long
async def test_one_run_checks_a_thousand_channels(bot: Bot) -> None:
    for channel_id in range(1000):
        await bot.subscribe(1000 + channel_id)

    assert await run_preflight(bot, NEXT - DAY) == 1000
    assert sorted(bot.process.inspection.inspected) == list(range(1000, 2000))


def test_the_last_check_is_an_hour_before_the_slot() -> None:
    assert next_check(SLOT, SLOT - DAY) == SLOT - HOUR
    assert next_check(SLOT, SLOT - HOUR - SECOND) == SLOT - HOUR
    assert next_check(SLOT, SLOT - HOUR) is None
    assert next_check(SLOT, SLOT + DAY) is None


# Problems


async def test_a_problem_is_stored_and_sends_one_notice(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE

    await check_counts(bot, NEXT - DAY, NEXT - HOUR)

    assert (await bot.subscription()).warning == GONE
    assert [channel_id for channel_id, _ in notice_sender.sent] == [CHANNEL]


async def test_a_channel_without_problems_gets_no_notice(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER)
    inspection.problems[OTHER] = GONE

    await check_counts(bot, NEXT - DAY, NEXT - HOUR)

    assert (await bot.subscription()).warning is None
    assert [channel_id for channel_id, _ in notice_sender.sent] == [OTHER]


async def test_a_problem_that_arises_after_the_first_check_is_found_by_the_last(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    await run_preflight(bot, NEXT - DAY)
    inspection.problems[CHANNEL] = GONE

    await run_preflight(bot, NEXT - HOUR)

    assert len(notice_sender.sent) == 1


async def test_a_fixed_problem_is_cleared_and_its_recurrence_sends_another_notice(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await run_preflight(bot, NEXT - DAY)
    inspection.problems.clear()
    await run_preflight(bot, NEXT - HOUR)
    assert (await bot.subscription()).warning is None
    await bot.tick(NEXT)

    inspection.problems[CHANNEL] = GONE
    await run_preflight(bot, NEXT + WEEK - DAY)

    assert len(notice_sender.sent) == 2


async def test_a_problem_that_lasts_for_weeks_sends_one_notice(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = "the role to ping is gone"
    for slot in (NEXT, NEXT + WEEK, NEXT + 2 * WEEK):
        await check_counts(bot, slot - DAY, slot - HOUR)
        await bot.tick(slot)

    assert len(bot.topics()) == 3
    assert len(notice_sender.sent) == 1


async def test_an_edit_that_did_not_help_sends_another_notice(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await run_preflight(bot, NEXT - DAY)
    await bot.subscribe(pin=True)

    await run_preflight(bot, NEXT - DAY + MINUTE)

    assert len(notice_sender.sent) == 2


async def test_a_refusal_after_a_warning_sends_one_more_notice(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await check_counts(bot, NEXT - DAY, NEXT - HOUR)
    bot.sender.before = [PermanentError(GONE)] * 3
    for slot in (NEXT, NEXT + WEEK, NEXT + 2 * WEEK):
        await bot.tick(slot)
        await check_counts(bot, slot + WEEK - DAY, slot + WEEK - HOUR)

    assert ["There is a problem with" in text for _, text in notice_sender.sent] == [True, False]


async def test_a_blocked_channel_gets_no_warning(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    bot.sender.before = [PermanentError(GONE)]
    await bot.tick(NEXT)
    inspection.problems[CHANNEL] = GONE

    await check_counts(bot, NEXT + WEEK - DAY, NEXT + WEEK - HOUR)

    assert ["There is a problem with" in text for _, text in notice_sender.sent] == [False]


async def test_a_problem_does_not_prevent_the_attempt_to_post(bot: Bot, inspection: FakeInspection) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await check_counts(bot, NEXT - DAY, NEXT - HOUR)

    await bot.tick(NEXT)

    assert bot.topics() == ["flask"]


# Outages and errors


async def test_a_check_during_an_outage_is_repeated_after_ten_minutes(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    inspection.unavailable = {GUILD}

    at = NEXT - DAY
    assert await check_counts(bot, at, at + MINUTE, at + 9 * MINUTE, at + 10 * MINUTE, at + 11 * MINUTE) == [
        1,
        0,
        0,
        1,
        0,
    ]
    assert (await bot.subscription()).warning is None
    assert notice_sender.posts == 0

    inspection.unavailable.clear()
    assert await check_counts(bot, at + 20 * MINUTE, at + 30 * MINUTE, NEXT - HOUR) == [1, 0, 1]
    assert len(notice_sender.sent) == 1


async def test_an_outage_clears_no_warning(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    inspection.problems[CHANNEL] = GONE
    await run_preflight(bot, NEXT - DAY)
    inspection.unavailable = {GUILD}
    await run_preflight(bot, NEXT - HOUR)
    inspection.unavailable.clear()

    await run_preflight(bot, NEXT - HOUR + 10 * MINUTE)

    assert (await bot.subscription()).warning == GONE
    assert len(notice_sender.sent) == 1


async def test_an_outage_of_one_server_does_not_delay_others(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection
) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER, guild_id=GUILD + 1)
    inspection.problems = {CHANNEL: GONE, OTHER: GONE}
    inspection.unavailable = {GUILD}

    await run_preflight(bot, NEXT - DAY)

    assert [channel_id for channel_id, _ in notice_sender.sent] == [OTHER]


async def test_a_failed_check_does_not_delay_others_and_is_retried_later(
    bot: Bot, notice_sender: FakeNoticeSender, inspection: FakeInspection, caplog: pytest.LogCaptureFixture
) -> None:
    for channel_id in range(100, 105):
        await bot.subscribe(channel_id)
    inspection.problems = dict.fromkeys(range(100, 105), GONE)
    inspection.failing = {102}

    assert await run_preflight(bot, NEXT - DAY) == 5
    assert sorted(channel_id for channel_id, _ in notice_sender.sent) == [100, 101, 103, 104]
    [record] = caplog.records
    assert "unexpected error" in record.getMessage()
    assert record.channel == 102  # type: ignore[attr-defined]

    inspection.failing.clear()
    assert await check_counts(bot, NEXT - DAY + MINUTE, NEXT - DAY + 10 * MINUTE) == [0, 1]
    assert len(notice_sender.sent) == 5
