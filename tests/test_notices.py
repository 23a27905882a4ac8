"""What a server's moderators are told of a weekly topic that is in trouble: once, until it is over."""

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


async def blocked(bot: Bot, *channels: int) -> None:
    """Each channel's first post is refused, at its slot."""
    for channel_id in channels or [CHANNEL]:
        await bot.subscribe(channel_id)
    bot.sender.before = [REFUSED for _ in channels or [CHANNEL]]
    await bot.tick(SLOT)


async def warn(bot: Bot, warning: str | None = "the role to ping is gone", channel_id: int = CHANNEL) -> None:
    """What a look at the channel finds wrong."""
    result = Checked(await bot.subscription(channel_id), warning, None)
    await bot.process.notices.record_checks([result], bot.clock.now())


# What is told


async def test_a_refused_post_is_told_with_its_reason(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await blocked(bot)

    ((channel_id, text),) = notice_sender.sent
    assert channel_id == CHANNEL
    assert f"couldn't post the weekly topic in <#{CHANNEL}>: {REASON}." in text


async def test_a_warning_says_what_is_wrong_and_when_the_post_is_due(bot: Bot, notice_sender: FakeNoticeSender) -> None:
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
async def test_what_every_member_may_read_names_neither_channel_nor_reason(bot: Bot, kind: NoticeKind) -> None:
    subscription = replace(await bot.subscribe(), guild_locale="de")
    text = public_text_of(Notice("n" * 24, subscription, kind, "the role @staff is gone", MONDAY, 1, None))
    assert "`/wochenthema status`" in text
    assert "staff" not in text
    assert str(CHANNEL) not in text


async def test_each_channel_that_is_refused_is_told_of(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await blocked(bot, CHANNEL, OTHER)

    assert sorted(channel_id for channel_id, _ in notice_sender.sent) == [CHANNEL, OTHER]


async def test_a_post_that_is_refused_though_it_may_stand_is_told_too(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
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
async def test_what_goes_wrong_for_a_while_only_is_not_told(
    bot: Bot, notice_sender: FakeNoticeSender, error: Exception
) -> None:
    await bot.subscribe(pin=True)
    bot.sender.before = [error] * 3
    bot.sender.following = [error] * 3

    await bot.tick_until(SLOT + HOUR)

    assert bot.topics() == ["flask"]
    assert notice_sender.posts == 0


async def test_a_post_that_nobody_can_tell_of_is_not_told_as_a_refusal(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.finding = [HistoryUnreadableError("Read Message History is missing")]

    await bot.tick(minutes=5)

    assert (await bot.last()).state is State.UNVERIFIED
    assert (await bot.subscription()).blocked is None
    assert notice_sender.posts == 0


# Once, until it is over


async def test_a_channel_that_is_refused_week_after_week_is_told_of_once(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED] * 4

    await bot.weeks(4)

    assert len(notice_sender.sent) == 1


async def test_another_reason_does_not_make_it_another_refusal(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED, PermanentError("the channel is gone")]

    await bot.weeks(2)

    assert len(notice_sender.sent) == 1
    assert (await bot.subscription()).blocked == "the channel is gone"


async def test_a_channel_that_is_refused_again_after_a_post_is_told_of_again(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED, REFUSED, None, REFUSED, REFUSED]

    await bot.weeks(5)

    assert bot.topics() == ["flask"]
    assert len(notice_sender.sent) == 2


async def test_what_was_told_is_not_told_again_after_a_restart(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await blocked(bot)

    await bot.process.restart()
    await bot.tick_until(SLOT + 2 * HOUR)

    assert len(notice_sender.sent) == 1


async def test_a_moderators_edit_has_it_told_again_if_it_did_not_help(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    await blocked(bot)
    await bot.subscribe(pin=True)
    bot.sender.before = [REFUSED]

    await bot.weeks(1)

    assert len(notice_sender.sent) == 2


async def test_unsubscribing_and_coming_back_has_it_told_again(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await blocked(bot)
    await bot.change(subscription_rules.unsubscribe)
    bot.clock.move(days=1)
    await bot.subscribe()
    bot.sender.before = [REFUSED]

    await bot.weeks(1)

    assert len(notice_sender.sent) == 2


async def test_a_warning_is_told_once_however_often_it_is_found(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    for _ in range(3):
        await warn(bot)
        await bot.tick(minutes=5)
    await warn(bot, "the role to ping is gone; weekbot is missing Pin Messages")
    await bot.tick(minutes=5)

    assert len(notice_sender.sent) == 1


async def test_a_warning_that_was_over_is_told_again(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    for warning in ("the role to ping is gone", None, "weekbot is missing Pin Messages"):
        await warn(bot, warning)
        await bot.tick(minutes=5)

    assert [("the role" in text, "Pin Messages" in text) for _, text in notice_sender.sent] == [
        (True, False),
        (False, True),
    ]


async def test_a_warning_that_is_over_before_it_was_told_is_not_told(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    await bot.subscribe()
    await warn(bot)
    await warn(bot, None)

    await bot.tick()

    assert notice_sender.posts == 0


async def test_a_channel_that_is_told_of_as_blocked_is_not_warned_of_too(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    await blocked(bot)

    await warn(bot)
    await bot.tick(minutes=5)

    assert len(notice_sender.sent) == 1
    assert (await bot.subscription()).warning == "the role to ping is gone"


async def test_what_was_found_while_blocked_is_told_when_the_channel_is_back(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    await blocked(bot)
    await warn(bot)
    await bot.weeks(1)
    assert bot.topics() == ["flask"]

    await warn(bot)
    await bot.tick(minutes=5)

    assert len(notice_sender.sent) == 2
    assert "the role to ping is gone" in notice_sender.sent[1][1]


# A notice channel that fails


async def test_a_board_that_refuses_is_not_asked_again(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [REFUSED]
    await blocked(bot)

    await bot.tick_until(SLOT + 6 * DAY)

    assert (notice_sender.posts, notice_sender.sent) == (1, [])


async def test_a_notice_that_discord_does_not_take_now_is_told_later(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [DOWN] * 6
    await blocked(bot)

    await bot.tick_until(SLOT + HOUR)

    assert (notice_sender.posts, len(notice_sender.sent)) == (7, 1)


async def test_the_pauses_between_attempts_grow(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [DOWN] * 1000
    await blocked(bot)

    await bot.tick_until(SLOT + 2 * HOUR)

    assert 70 < notice_sender.posts < 110


async def test_a_notice_that_is_a_day_old_is_not_told_any_more(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [RetryableError("Discord cannot be reached", DAY + SECOND)]
    await blocked(bot)

    await bot.tick_until(SLOT + 3 * DAY)

    assert (notice_sender.posts, notice_sender.sent) == (1, [])


async def test_a_notice_that_waited_for_almost_a_day_is_told(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [RetryableError("Discord cannot be reached", DAY - MINUTE)]
    await blocked(bot)

    await bot.tick_until(SLOT + 3 * DAY)

    assert len(notice_sender.sent) == 1


async def test_a_notice_of_unknown_outcome_is_repeated_while_discord_knows_it(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    notice_sender.after = [CUT]
    await blocked(bot)

    await bot.tick_until(SLOT + HOUR)

    assert (notice_sender.posts, len(notice_sender.sent)) == (2, 1)


async def test_a_notice_of_unknown_outcome_is_not_repeated_later(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.after = [AmbiguousError("the connection was cut")] * 100
    await blocked(bot)
    await bot.tick_until(SLOT + 2 * MINUTE - SECOND)
    notice_sender.forget_nonces()
    within = notice_sender.posts

    await bot.tick_until(SLOT + 2 * DAY)

    assert within > 1
    assert (notice_sender.posts, len(notice_sender.sent)) == (within, 1)


async def test_a_notice_whose_outcome_is_unknown_stays_so_when_it_is_not_taken_later(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    notice_sender.after = [CUT]
    notice_sender.before = [None, RetryableError("Discord asked weekbot to wait", 5 * MINUTE)]
    await blocked(bot)
    notice_sender.forget_nonces()

    await bot.tick_until(SLOT + HOUR)

    assert (notice_sender.posts, len(notice_sender.sent)) == (2, 1)


async def test_after_an_unexpected_error_a_notice_is_tried_again_within_two_minutes_only(
    bot: Bot, notice_sender: FakeNoticeSender
) -> None:
    notice_sender.before = [ZeroDivisionError("unexpected")] * 100
    await blocked(bot)

    await bot.tick_until(SLOT + HOUR)

    assert 2 <= notice_sender.posts <= 8
    assert notice_sender.sent == []


async def test_a_clock_that_was_put_back_tells_nothing_twice(
    bot: Bot, notice_sender: FakeNoticeSender, notices: Notices
) -> None:
    notice_sender.after = [CUT]
    await bot.subscribe()
    await warn(bot)
    (notice,) = await notices.claim(MONDAY + 2 * HOUR, LEASE, 10)
    await notices.retry(notice, MONDAY)

    await bot.tick(MONDAY)

    assert notice_sender.posts == 0


# Servers that were left, channels that ended


async def test_a_server_that_was_left_is_not_told(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [RetryableError("Discord cannot be reached", 10 * MINUTE)]
    await blocked(bot)
    await bot.process.guilds.mark_left([GUILD], bot.clock.now())

    await bot.tick_until(SLOT + 2 * DAY)

    assert (notice_sender.posts, notice_sender.sent) == (1, [])


async def test_a_channel_that_was_unsubscribed_is_not_told_of(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [RetryableError("Discord cannot be reached", 10 * MINUTE)]
    await blocked(bot)
    await bot.change(subscription_rules.unsubscribe)

    await bot.tick(days=2)

    assert (notice_sender.posts, notice_sender.sent) == (1, [])


async def test_what_is_over_while_its_notice_waits_is_not_told(bot: Bot, notice_sender: FakeNoticeSender) -> None:
    notice_sender.before = [RetryableError("Discord cannot be reached", 10 * MINUTE)]
    await blocked(bot)
    assert await bot.post_now()

    await bot.tick_until(SLOT + HOUR)

    assert bot.topics() == ["flask"]
    assert (notice_sender.posts, notice_sender.sent) == (1, [])


# The store


async def test_a_notice_is_held_for_its_attempt(bot: Bot, notices: Notices) -> None:
    await bot.subscribe()
    await warn(bot)

    (first,) = await notices.claim(MONDAY, LEASE, 10)
    assert await notices.claim(MONDAY + LEASE - SECOND, LEASE, 10) == []
    (second,) = await notices.claim(MONDAY + LEASE, LEASE, 10)

    assert (first.kind, first.reason, first.created_at) == (NoticeKind.WARNED, "the role to ping is gone", MONDAY)
    assert (first.attempts, first.first_attempt_at) == (1, None)
    assert second == replace(first, attempts=2, first_attempt_at=MONDAY)
    assert first.subscription == await bot.subscription()


async def test_notices_are_taken_the_longest_waiting_first_and_no_more_than_asked(bot: Bot, notices: Notices) -> None:
    for channel_id in (13, 11, 12):
        await bot.subscribe(channel_id)
        await warn(bot, channel_id=channel_id)
        bot.clock.move(minutes=1)

    async def channels(limit: int) -> list[int]:
        return [each.subscription.channel_id for each in await notices.claim(bot.clock.now(), LEASE, limit)]

    assert [await channels(2), await channels(2), await channels(2)] == [[13, 11], [12], []]


async def test_the_next_notice_is_the_earliest_that_is_not_done(bot: Bot, notices: Notices) -> None:
    assert await notices.next_at() is None
    await bot.subscribe()
    await warn(bot)
    assert await notices.next_at() == MONDAY
    (notice,) = await notices.claim(MONDAY, LEASE, 10)
    assert await notices.next_at() == MONDAY + LEASE

    await notices.finish(notice)

    assert await notices.next_at() is None


async def test_the_id_of_a_notice_fits_a_nonce(bot: Bot, notices: Notices) -> None:
    await bot.subscribe()
    await warn(bot)

    (notice,) = await notices.claim(MONDAY, LEASE, 10)

    assert 0 < len(notice.id) <= 25


async def test_what_was_found_of_a_slot_that_has_been_moved_is_worth_nothing(bot: Bot, notices: Notices) -> None:
    looked_at = await bot.subscribe()
    await bot.subscribe(weekday=3)

    await notices.record_checks([Checked(looked_at, "the role to ping is gone", None)], MONDAY)

    assert (await bot.subscription()).warning is None
    assert await notices.claim(MONDAY, LEASE, 10) == []
