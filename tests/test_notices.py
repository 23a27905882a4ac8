"""Notices to a server's moderators about a problem with the weekly topic: one notice for each problem."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fakes import CHANNEL, GUILD, MONDAY, OTHER, SLOT, Bot, FakeNoticeSender
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.delivery.notices import LEASE, public_text_of, text_of
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import State
from weekbot.domain.notices import Checked, Notice, NoticeKind
from weekbot.store.notices import Notices

SECOND, MINUTE, HOUR, DAY = (timedelta(**{f"{unit}s": 1}) for unit in ("second", "minute", "hour", "day"))
REASON = "weekbot cannot see the channel"
REFUSED = PermanentError(REASON)
CUT = AmbiguousError("the connection was cut")
DOWN = RetryableError("Discord cannot be reached")


@pytest.fixture
def notices(bot: Bot) -> Notices:
    return bot.process.notices


async def block(bot: Bot, *channels: int) -> None:
    """Subscribe the channels, and have Discord refuse the first post of each."""
    for channel_id in channels or [CHANNEL]:
        await bot.subscribe(channel_id)
    bot.sender.before = [REFUSED for _ in channels or [CHANNEL]]
    await bot.tick(SLOT)


async def warn(bot: Bot, warning: str | None = "the role to ping is gone", channel_id: int = CHANNEL) -> None:
    """Record the result of a channel check: a warning, or none."""
    result = Checked(await bot.subscription(channel_id), warning, None)
    await bot.process.notices.record_checks([result], bot.clock.now())


# Contents


async def test_a_notice_of_a_refused_post_gives_the_reason(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await block(bot)

    ((channel_id, text),) = notice_sender.sent
    assert channel_id == CHANNEL
    assert f"couldn't post the weekly topic in <#{CHANNEL}>: {REASON}." in text


async def test_a_warning_names_the_problem_and_the_time_of_the_post(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    await warn(bot)

    await bot.tick()

    ((channel_id, text),) = notice_sender.sent
    assert channel_id == CHANNEL
    place = f"There is a problem with the next weekly topic in <#{CHANNEL}>, due <t:{int(SLOT.timestamp())}:R>"
    assert f"{place}: the role to ping is gone." in text


@pytest.mark.parametrize("kind", NoticeKind)
async def test_the_longest_notice_fits_into_a_message(bot: Bot, kind: NoticeKind) -> None:
    subscription = replace(await bot.subscribe(2**63 - 1), channel_id=2**64)

    assert len(text_of(Notice("n" * 24, subscription, kind, "r" * 1000, MONDAY, 1, None))) <= 2000


@pytest.mark.parametrize("kind", NoticeKind)
async def test_the_public_text_names_neither_channel_nor_reason(bot: Bot, kind: NoticeKind) -> None:
    subscription = replace(await bot.subscribe(), guild_locale="de")
    text = public_text_of(Notice("n" * 24, subscription, kind, "the role @staff is gone", MONDAY, 1, None))
    assert "`/wochenthema status`" in text
    assert "staff" not in text
    assert str(CHANNEL) not in text


async def test_each_refused_channel_gets_its_own_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await block(bot, CHANNEL, OTHER)

    assert sorted(channel_id for channel_id, _ in notice_sender.sent) == [CHANNEL, OTHER]


async def test_a_refusal_after_an_ambiguous_error_sends_a_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    bot.sender.after = [CUT]
    bot.sender.before = [None, REFUSED]
    unreadable = HistoryUnreadableError("the history cannot be read")
    unreadable.__cause__ = REFUSED
    bot.sender.finding = [unreadable]

    await bot.tick_until(SLOT + HOUR)

    assert (await bot.last()).state is State.UNVERIFIED
    assert (await bot.subscription()).blocked == REASON
    assert len(notice_sender.sent) == 1


@pytest.mark.parametrize("error", [DOWN, CUT], ids=["not sent", "unknown"])
async def test_temporary_errors_send_no_notice(bot: Bot, notice_sender: FakeNoticeSender, error: Exception) -> None:
    await bot.subscribe(pin=True)
    bot.sender.before = [error] * 3
    bot.sender.following = [error] * 3

    await bot.tick_until(SLOT + HOUR)

    assert bot.topics() == ["flask"]
    assert notice_sender.posts == 0


async def test_an_unverified_post_sends_no_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.finding = [HistoryUnreadableError("Read Message History is missing")]

    await bot.tick(minutes=5)

    assert (await bot.last()).state is State.UNVERIFIED
    assert (await bot.subscription()).blocked is None
    assert notice_sender.posts == 0


# One notice for each problem


async def test_weekly_refusals_of_a_channel_send_one_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED] * 4

    await bot.weeks(4)

    assert len(notice_sender.sent) == 1


async def test_another_reason_for_a_refusal_sends_no_second_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED, PermanentError("the channel is gone")]

    await bot.weeks(2)

    assert len(notice_sender.sent) == 1
    assert (await bot.subscription()).blocked == "the channel is gone"


async def test_a_new_refusal_after_a_successful_post_sends_another_notice(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED, REFUSED, None, REFUSED, REFUSED]

    await bot.weeks(5)

    assert bot.topics() == ["flask"]
    assert len(notice_sender.sent) == 2


async def test_a_notice_is_not_repeated_after_a_restart(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await block(bot)

    await bot.process.restart()
    await bot.tick_until(SLOT + 2 * HOUR)

    assert len(notice_sender.sent) == 1


async def test_an_edit_that_did_not_help_sends_another_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await block(bot)
    await bot.subscribe(pin=True)
    bot.sender.before = [REFUSED]

    await bot.weeks(1)

    assert len(notice_sender.sent) == 2


async def test_a_refusal_after_a_new_subscription_sends_another_notice(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    await block(bot)
    await bot.change(subscription_rules.unsubscribe)
    bot.clock.move(days=1)
    await bot.subscribe()
    bot.sender.before = [REFUSED]

    await bot.weeks(1)

    assert len(notice_sender.sent) == 2


async def test_a_repeated_warning_sends_one_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    for _ in range(3):
        await warn(bot)
        await bot.tick(minutes=5)
    await warn(bot, "the role to ping is gone; weekbot is missing Pin Messages")
    await bot.tick(minutes=5)

    assert len(notice_sender.sent) == 1


async def test_a_warning_that_recurs_sends_another_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    for warning in ("the role to ping is gone", None, "weekbot is missing Pin Messages"):
        await warn(bot, warning)
        await bot.tick(minutes=5)

    assert [("the role" in text, "Pin Messages" in text) for _, text in notice_sender.sent] == [
        (True, False),
        (False, True),
    ]


async def test_a_warning_that_is_resolved_before_its_notice_sends_none(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    await bot.subscribe()
    await warn(bot)
    await warn(bot, None)

    await bot.tick()

    assert notice_sender.posts == 0


async def test_a_blocked_channel_gets_no_warning_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await block(bot)

    await warn(bot)
    await bot.tick(minutes=5)

    assert len(notice_sender.sent) == 1
    assert (await bot.subscription()).warning == "the role to ping is gone"


async def test_a_warning_found_while_blocked_sends_a_notice_after_the_channel_recovers(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    await block(bot)
    await warn(bot)
    await bot.weeks(1)
    assert bot.topics() == ["flask"]

    await warn(bot)
    await bot.tick(minutes=5)

    assert len(notice_sender.sent) == 2
    assert "the role to ping is gone" in notice_sender.sent[1][1]


# Failed notices


async def test_a_refused_notice_is_not_retried(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [REFUSED]
    await block(bot)

    await bot.tick_until(SLOT + 6 * DAY)

    assert (notice_sender.posts, notice_sender.sent) == (1, [])


async def test_a_notice_that_failed_is_retried(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [DOWN] * 6
    await block(bot)

    await bot.tick_until(SLOT + HOUR)

    assert (notice_sender.posts, len(notice_sender.sent)) == (7, 1)


async def test_the_pauses_between_attempts_increase(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [DOWN] * 1000
    await block(bot)

    await bot.tick_until(SLOT + 2 * HOUR)

    assert 70 < notice_sender.posts < 110


async def test_a_notice_expires_after_a_day(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [RetryableError("Discord cannot be reached", DAY + SECOND)]
    await block(bot)

    await bot.tick_until(SLOT + 3 * DAY)

    assert (notice_sender.posts, notice_sender.sent) == (1, [])


async def test_a_notice_of_almost_a_day_is_sent(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [RetryableError("Discord cannot be reached", DAY - MINUTE)]
    await block(bot)

    await bot.tick_until(SLOT + 3 * DAY)

    assert len(notice_sender.sent) == 1


async def test_an_ambiguous_notice_is_repeated_while_discord_knows_its_nonce(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    notice_sender.after = [CUT]
    await block(bot)

    await bot.tick_until(SLOT + HOUR)

    assert (notice_sender.posts, len(notice_sender.sent)) == (2, 1)


async def test_an_ambiguous_notice_is_not_repeated_later(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.after = [AmbiguousError("the connection was cut")] * 100
    await block(bot)
    await bot.tick_until(SLOT + 2 * MINUTE - SECOND)
    notice_sender.forget_nonces()
    posts_within_window = notice_sender.posts

    await bot.tick_until(SLOT + 2 * DAY)

    assert posts_within_window > 1
    assert (notice_sender.posts, len(notice_sender.sent)) == (posts_within_window, 1)


async def test_a_later_failure_does_not_make_an_ambiguous_notice_repeatable(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    notice_sender.after = [CUT]
    notice_sender.before = [None, RetryableError("Discord asked weekbot to wait", 5 * MINUTE)]
    await block(bot)
    notice_sender.forget_nonces()

    await bot.tick_until(SLOT + HOUR)

    assert (notice_sender.posts, len(notice_sender.sent)) == (2, 1)


async def test_a_notice_is_retried_for_only_two_minutes_after_an_unexpected_error(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    notice_sender.before = [ZeroDivisionError("unexpected")] * 100
    await block(bot)

    await bot.tick_until(SLOT + HOUR)

    assert 2 <= notice_sender.posts <= 8
    assert notice_sender.sent == []


async def test_a_clock_set_back_repeats_no_notice(bot: Bot, notice_sender: FakeNoticeSender, notices: Notices) -> None:
    notice_sender.after = [CUT]
    await bot.subscribe()
    await warn(bot)
    (notice,) = await notices.claim(MONDAY + 2 * HOUR, LEASE, 10)
    await notices.retry(notice, MONDAY)

    await bot.tick(MONDAY)

    assert notice_sender.posts == 0


# Notices that are no longer needed


async def test_a_left_server_gets_no_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [RetryableError("Discord cannot be reached", 10 * MINUTE)]
    await block(bot)
    await bot.process.guilds.mark_left([GUILD], bot.clock.now())

    await bot.tick_until(SLOT + 2 * DAY)

    assert (notice_sender.posts, notice_sender.sent) == (1, [])


async def test_an_unsubscribed_channel_gets_no_notice(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [RetryableError("Discord cannot be reached", 10 * MINUTE)]
    await block(bot)
    await bot.change(subscription_rules.unsubscribe)

    await bot.tick(days=2)

    assert (notice_sender.posts, notice_sender.sent) == (1, [])


async def test_a_problem_that_is_resolved_while_its_notice_waits_sends_none(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    notice_sender.before = [RetryableError("Discord cannot be reached", 10 * MINUTE)]
    await block(bot)
    assert await bot.post_now()

    await bot.tick_until(SLOT + HOUR)

    assert bot.topics() == ["flask"]
    assert (notice_sender.posts, notice_sender.sent) == (1, [])


# The store


async def test_a_claimed_notice_is_leased(bot: Bot, notices: Notices) -> None:
    await bot.subscribe()
    await warn(bot)

    (first,) = await notices.claim(MONDAY, LEASE, 10)
    assert await notices.claim(MONDAY + LEASE - SECOND, LEASE, 10) == []
    (second,) = await notices.claim(MONDAY + LEASE, LEASE, 10)

    assert (first.kind, first.reason, first.created_at) == (NoticeKind.WARNED, "the role to ping is gone", MONDAY)
    assert (first.attempts, first.first_attempt_at) == (1, None)
    assert second == replace(first, attempts=2, first_attempt_at=MONDAY)
    assert first.subscription == await bot.subscription()


async def test_notices_are_claimed_oldest_first_up_to_the_limit(bot: Bot, notices: Notices) -> None:
    for channel_id in (13, 11, 12):
        await bot.subscribe(channel_id)
        await warn(bot, channel_id=channel_id)
        bot.clock.move(minutes=1)

    async def channels(limit: int) -> list[int]:
        return [each.subscription.channel_id for each in await notices.claim(bot.clock.now(), LEASE, limit)]

    assert [await channels(2), await channels(2), await channels(2)] == [[13, 11], [12], []]


async def test_the_next_notice_is_the_earliest_unfinished_one(bot: Bot, notices: Notices) -> None:
    assert await notices.next_at() is None
    await bot.subscribe()
    await warn(bot)
    assert await notices.next_at() == MONDAY
    (notice,) = await notices.claim(MONDAY, LEASE, 10)
    assert await notices.next_at() == MONDAY + LEASE

    await notices.finish(notice)

    assert await notices.next_at() is None


async def test_a_notice_id_fits_into_a_nonce(bot: Bot, notices: Notices) -> None:
    await bot.subscribe()
    await warn(bot)

    (notice,) = await notices.claim(MONDAY, LEASE, 10)

    assert 0 < len(notice.id) <= 25


async def test_a_check_of_a_slot_that_was_moved_is_discarded(bot: Bot, notices: Notices) -> None:
    checked = await bot.subscribe()
    await bot.subscribe(weekday=3)

    await notices.record_checks([Checked(checked, "the role to ping is gone", None)], MONDAY)

    assert (await bot.subscription()).warning is None
    assert await notices.claim(MONDAY, LEASE, 10) == []
