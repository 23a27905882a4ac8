"""From a due slot to a post: the dispatcher with a real database and a fake sender."""

import asyncio
from dataclasses import dataclass, field
from datetime import time, timedelta

import pytest

from fakes import CHANNEL, GUILD, OTHER, SLOT, SLUGS, Bot, FakeClock, FakeSender
from weekbot.content.model import Topic
from weekbot.delivery.errors import AmbiguousError, GoneError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.delivery.ports import SentMessage
from weekbot.delivery.posts import ATTEMPT_SECONDS, LEASE
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.planning import planner
from weekbot.domain.steps import StepName

CUT = AmbiguousError("the connection was cut")
DOWN = RetryableError("Discord cannot be reached")
DOWN_FOR_HOURS = RetryableError("Discord cannot be reached", timedelta(hours=2))
REFUSED = PermanentError("weekbot cannot see the channel")
UNREADABLE = HistoryUnreadableError("Read Message History is missing")


# On time


async def test_nothing_is_posted_before_the_slot(bot: Bot) -> None:
    await bot.subscribe()

    await bot.tick(SLOT - timedelta(minutes=2))

    assert bot.topics() == []


async def test_each_due_channel_gets_its_post_once(bot: Bot) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER, start_topic="dash")

    await bot.tick(SLOT)
    await bot.tick()
    await bot.tick(minutes=1)

    assert bot.topics() == ["flask"]
    assert bot.topics(OTHER) == ["dash"]


async def test_a_post_is_not_repeated_after_a_restart(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)

    await bot.process.restart()
    await bot.tick()
    await bot.tick_until(SLOT + timedelta(minutes=10))

    assert bot.topics() == ["flask"]


async def test_every_week_has_the_next_topic(bot: Bot) -> None:
    await bot.subscribe()

    await bot.weeks(4)

    assert bot.topics() == list(SLUGS)


@pytest.mark.parametrize("requests_per_second", [1, 48])
async def test_one_tick_posts_in_more_channels_than_one_claim_or_the_flight_limit(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, requests_per_second: float
) -> None:
    monkeypatch.setattr("weekbot.delivery.due_posts.CLAIMED_AT_ONCE", 5)
    for channel_id in range(100, 123):
        await bot.subscribe(channel_id, pin=True)
    slow = bot.another_process(bot.sender, requests_per_second=requests_per_second)
    bot.clock.instant = SLOT

    await slow.dispatcher.run()
    await slow.close()

    assert bot.channels() == list(range(100, 123))
    assert len(bot.sender.steps) == 23


async def test_a_retry_within_the_minute_is_not_left_to_the_next_tick(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN]

    await bot.tick(SLOT)

    assert bot.topics() == ["flask"]
    assert bot.clock.now() - SLOT < timedelta(minutes=1)


# Late


async def test_a_slot_during_downtime_is_posted_late_once(bot: Bot) -> None:
    await bot.subscribe()

    await bot.tick(SLOT + timedelta(hours=2))
    await bot.tick(minutes=1)

    assert bot.topics() == ["flask"]
    assert (await bot.last()).state is State.SENT


async def test_a_slot_beyond_the_catch_up_time_is_missed_and_its_topic_stays_next(bot: Bot) -> None:
    await bot.subscribe()

    await bot.tick(SLOT + timedelta(hours=30))
    missed = await bot.last()
    await bot.weeks(1)

    assert (missed.state, missed.slot, missed.reason) == (State.MISSED, SLOT, "weekbot was not running")
    assert bot.topics() == ["flask"]


@pytest.mark.parametrize(("late", "topics"), [(timedelta(), ["flask"]), (timedelta(seconds=1), [])])
async def test_the_catch_up_time_is_exact_to_the_second(bot: Bot, late: timedelta, topics: list[str]) -> None:
    await bot.subscribe()

    await bot.tick(SLOT + timedelta(hours=24) + late)

    assert bot.topics() == topics


async def test_missed_weeks_are_not_made_up_for(bot: Bot) -> None:
    await bot.subscribe()

    await bot.tick(SLOT + timedelta(weeks=5, hours=3))
    await bot.weeks(1)

    assert bot.topics() == ["flask", "django"]


async def test_a_chosen_topic_whose_slot_was_missed_is_still_chosen(bot: Bot) -> None:
    await bot.subscribe()
    await bot.choose("numpy")

    await bot.tick(SLOT + timedelta(hours=30))
    await bot.weeks(2)

    assert bot.topics() == ["numpy", "flask"]


# Temporary failures


async def test_a_temporary_failure_is_retried_until_it_ends(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN] * 8

    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert bot.sender.sends == 9
    assert 0 < bot.sender.look_ups < 9  # once Discord may have forgotten a nonce that another ledger used


async def test_a_step_with_an_unreadable_history_is_abandoned_at_last(bot: Bot) -> None:
    await bot.subscribe(thread=True)
    bot.sender.following = [HistoryUnreadableError("Read Message History is missing")] * 10
    await bot.tick(SLOT)
    await bot.tick_until(SLOT + timedelta(days=2))
    assert len(bot.sender.following) == 9
    failures = await bot.process.steps.failures([(await bot.last()).id])
    assert failures == {(await bot.last()).id: ["Read Message History is missing"]}


async def test_retry_pauses_grow_to_a_minute_and_a_half(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN] * 1000

    await bot.tick_until(SLOT + timedelta(hours=1))
    first_hour = bot.sender.sends
    await bot.tick_until(SLOT + timedelta(hours=2))

    assert 38 < first_hour < 55
    assert 32 <= bot.sender.sends - first_hour <= 53


async def test_a_post_that_fails_for_the_whole_catch_up_time_is_missed_and_stays_next(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN_FOR_HOURS] * 100

    await bot.tick_until(SLOT + timedelta(hours=27))
    bot.sender.before = []
    missed = await bot.last()
    await bot.tick_until(SLOT + timedelta(hours=40))
    assert bot.topics() == []
    await bot.weeks(1)

    assert (missed.state, missed.reason) == (State.MISSED, "Discord cannot be reached")
    assert bot.topics() == ["flask"]


async def test_the_pause_that_discord_requests_is_respected(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(minutes=30))]

    await bot.tick_until(SLOT + timedelta(minutes=29))
    assert bot.sender.sends == 1
    await bot.tick_until(SLOT + timedelta(minutes=31))

    assert bot.topics() == ["flask"]


async def test_a_retry_survives_a_restart(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(minutes=5))]
    await bot.tick(SLOT)

    await bot.process.restart()
    await bot.tick_until(SLOT + timedelta(minutes=6))

    assert bot.topics() == ["flask"]


# Unknown outcomes


async def test_a_cut_connection_is_retried_with_the_same_id_and_makes_one_post(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.after = [CUT, CUT]

    await bot.tick(SLOT)

    assert bot.topics() == ["flask"]
    assert (bot.sender.sends, bot.sender.look_ups) == (3, 0)
    assert (await bot.last()).state is State.SENT


async def test_an_unknown_outcome_is_looked_up_before_a_retry_after_two_minutes(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [CUT] * 7

    await bot.tick_until(SLOT + timedelta(minutes=10))

    assert bot.topics() == ["flask"]
    assert bot.sender.look_ups >= 1
    assert (await bot.last()).state is State.SENT


async def test_a_post_that_is_found_is_recorded_and_not_sent_again(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.forget_nonces()

    await bot.tick(minutes=5)

    assert bot.topics() == ["flask"]
    assert bot.sender.sends == 1
    last = await bot.last()
    assert (last.state, last.message_id) == (State.SENT, 1000)


async def test_a_post_that_is_not_found_is_sent(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_before = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.forget_nonces()

    await bot.tick(minutes=5)

    assert bot.topics() == ["flask"]
    assert bot.sender.look_ups == 1


async def test_a_recent_crash_is_resolved_by_the_nonce(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)

    await bot.tick(seconds=50)

    assert bot.topics() == ["flask"]
    assert (bot.sender.sends, bot.sender.look_ups) == (2, 0)
    assert (await bot.last()).state is State.SENT


async def test_an_attempt_that_may_be_in_flight_is_not_repeated(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    deliveries = bot.process.deliveries

    assert await deliveries.claim(SLOT + LEASE - timedelta(seconds=1), LEASE, 10) == []
    assert await deliveries.claim(SLOT + LEASE, LEASE, 10) != []


async def test_a_crash_between_claim_and_attempt_loses_nothing(bot: Bot) -> None:
    due = await bot.subscribe()
    await bot.process.deliveries.claim_due([due], planner(bot.live_library.current), SLOT)

    await bot.process.restart()
    await bot.tick(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]


async def test_a_post_with_an_unknown_outcome_is_never_repeated_if_the_history_is_unreadable(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.forget_nonces()
    bot.sender.finding = [UNREADABLE]

    await bot.tick(minutes=5)
    unverified = await bot.last()
    await bot.tick_until(SLOT + timedelta(hours=1))
    assert bot.topics() == ["flask"]
    await bot.weeks(1)

    assert (unverified.state, unverified.reason) == (State.UNVERIFIED, "Read Message History is missing")
    assert bot.topics() == ["flask", "django"]


async def test_a_failed_look_up_is_retried_before_anything_is_sent(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.forget_nonces()
    bot.sender.finding = [DOWN, CUT, DOWN]

    await bot.tick(minutes=5)
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert (bot.sender.sends, bot.sender.look_ups) == (1, 4)
    assert (await bot.last()).state is State.SENT


async def test_the_pauses_between_look_ups_grow(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.finding = [DOWN] * 60

    await bot.tick(minutes=5)
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.sender.look_ups < 55


async def test_a_post_that_cannot_be_looked_up_becomes_unverified(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.forget_nonces()
    bot.sender.finding = [DOWN] * 10

    await bot.tick(SLOT + timedelta(hours=25))
    await bot.tick(hours=1)

    assert (await bot.last()).state is State.UNVERIFIED
    assert bot.sender.sends == 1


async def test_an_unverified_post_has_a_reason_even_without_a_response_from_discord(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.finding = [TimeoutError()] * 20

    await bot.tick(SLOT + timedelta(hours=25))

    last = await bot.last()
    assert (last.state, last.reason) == (State.UNVERIFIED, "Discord did not answer")


def test_a_lease_is_longer_than_an_attempt_and_shorter_than_the_nonce() -> None:
    assert timedelta(seconds=ATTEMPT_SECONDS) < LEASE < FakeSender().nonce - timedelta(seconds=ATTEMPT_SECONDS)


async def test_a_post_that_is_found_long_after_its_slot_is_recorded(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.forget_nonces()

    await bot.tick(SLOT + timedelta(days=3))

    assert bot.topics() == ["flask"]
    assert (await bot.last()).state is State.SENT
    assert [name for name, _ in bot.sender.steps] == [StepName.PIN]


async def test_a_post_that_was_not_sent_and_is_too_late_is_missed(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_before = {1}
    await bot.tick_and_crash(SLOT)

    await bot.tick(SLOT + timedelta(days=3))
    missed = await bot.last()
    await bot.weeks(1)

    assert missed.state is State.MISSED
    assert bot.topics() == ["flask"]


async def test_a_refusal_after_an_unknown_outcome_is_looked_up_and_the_post_found(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.after = [CUT]
    bot.sender.before = [None, REFUSED]

    await bot.tick(SLOT)
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert ((await bot.last()).state, bot.sender.look_ups) == (State.SENT, 1)
    assert (await bot.subscription()).blocked is None


async def test_a_refusal_after_an_unknown_outcome_blocks_if_nothing_was_posted(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [CUT, *[REFUSED] * 10]

    await bot.tick(SLOT)
    await bot.tick_until(SLOT + timedelta(hours=1))

    last = await bot.last()
    assert bot.topics() == []
    assert (last.state, last.reason) == (State.BLOCKED, "weekbot cannot see the channel")
    assert (bot.sender.sends, bot.sender.look_ups) == (3, 1)


async def test_a_refusal_after_an_unknown_outcome_is_unverified_if_the_history_is_unreadable(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [CUT, REFUSED]
    bot.sender.finding = [HistoryUnreadableError("the history cannot be read")]

    await bot.tick(SLOT)
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert (await bot.last()).state is State.UNVERIFIED


async def test_a_post_that_was_removed_before_its_response_counts_as_posted(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    bot.sender.after = [CUT]
    bot.sender.before = [None, GoneError()]

    await bot.tick_until(SLOT + timedelta(hours=1))
    removed = await bot.last()
    await bot.weeks(1)

    assert (removed.message_id, removed.reason) == (None, "somebody removed the post")
    assert bot.topics() == ["flask", "django"]
    assert [delivery for _, delivery in bot.sender.steps] == [bot.sender.posts[1][0]]


async def test_the_next_topic_follows_a_refusal_after_an_unknown_outcome(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.after = [CUT]
    bot.sender.before = [None, REFUSED]

    await bot.weeks(2)

    assert bot.topics() == ["flask", "django"]
    assert (await bot.subscription()).blocked is None


async def test_repeated_crashes_make_one_post(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_before, bot.sender.crashes_after = {1, 3}, {2}
    await bot.tick_and_crash(SLOT)
    await bot.tick_and_crash(SLOT + timedelta(seconds=46))
    await bot.tick_and_crash(SLOT + timedelta(seconds=92))

    bot.sender.forget_nonces()
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert (await bot.last()).state is State.SENT


# Crashes before and after each transaction


CHANGES = 11  # the claims of each kind, and the outcome of each post, step and notice


async def crashed_in_a_full_tick(bot: Bot, **when: int) -> bool:
    """Run a tick with a post and its three steps, a refusal and its notice; return whether weekbot crashed."""
    await bot.subscribe(publish=True, thread=True, pin=True)
    await bot.subscribe(OTHER)
    bot.sender.closed = {OTHER}
    bot.clock.instant = SLOT
    bot.process.database.crash_at(**when)
    return await bot.sender.crash.interrupts(bot.process.dispatcher.run())


async def test_a_full_tick_has_as_many_changes_as_the_crash_tests_assume(bot: Bot) -> None:
    assert not await crashed_in_a_full_tick(bot)
    assert bot.process.database.changes == CHANGES


@pytest.mark.parametrize("number", range(1, CHANGES + 1))
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("down_for", [timedelta(), timedelta(minutes=5)], ids=["at once", "later"])
async def test_a_crash_at_any_change_makes_one_post_each_step_and_one_notice(
    bot: Bot, number: int, moment: str, down_for: timedelta
) -> None:
    assert await crashed_in_a_full_tick(bot, **{moment: number})
    await bot.process.restart()
    if down_for:
        bot.sender.forget_nonces()
        bot.process.notice_sender.forget_nonces()

    await bot.tick(SLOT + down_for)
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert (await bot.last()).state is State.SENT
    assert set(bot.step_names()) == {StepName.THREAD, StepName.PIN, StepName.PUBLISH}
    assert len(bot.step_names()) <= 4  # a step whose outcome was not recorded is repeated, which is harmless
    assert (await bot.subscription()).pinned_message_id == 1000
    assert (await bot.last(OTHER)).state in (State.BLOCKED, State.UNVERIFIED)
    assert len(bot.process.notice_sender.sent) <= 1
    if not down_for:
        assert len(bot.process.notice_sender.sent) == 1


# Refusals


async def test_a_refusal_blocks_with_its_reason_and_causes_one_request_a_week(bot: Bot) -> None:
    subscription = await bot.subscribe(track="everything", ping_role_id=5, pin=True)
    bot.sender.before = [REFUSED, REFUSED]

    await bot.tick_until(SLOT + timedelta(hours=2))
    blocked = await bot.subscription()
    assert bot.sender.sends == 1
    await bot.weeks(1)
    await bot.tick(days=1)

    assert blocked.blocked == "weekbot cannot see the channel"
    assert blocked.options == subscription.options
    assert (await bot.last()).state is State.BLOCKED
    assert bot.sender.sends == 2


async def test_a_blocked_channel_recovers_with_its_pending_topic(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [None, REFUSED, REFUSED]

    await bot.weeks(4)

    assert bot.topics() == ["flask", "django"]
    assert (await bot.subscription()).blocked is None


async def test_a_chosen_topic_that_was_refused_is_still_chosen(bot: Bot) -> None:
    await bot.subscribe()
    await bot.choose("numpy")
    bot.sender.before = [REFUSED]

    await bot.weeks(3)

    assert bot.topics() == ["numpy", "flask"]


async def test_a_refusal_does_not_affect_other_channels(bot: Bot) -> None:
    await bot.subscribe()
    await bot.subscribe(OTHER)
    bot.sender.before = [REFUSED]

    await bot.tick(SLOT)

    assert len(bot.sender.posts) == 1


# Steps after a post


async def test_only_the_configured_steps_are_made_once_each(bot: Bot) -> None:
    await bot.subscribe(publish=True, thread=True)

    await bot.tick(SLOT)
    await bot.tick(minutes=1)
    await bot.process.restart()
    await bot.tick(minutes=1)

    assert sorted(bot.step_names()) == [StepName.PUBLISH, StepName.THREAD]


async def test_steps_are_made_in_order(bot: Bot) -> None:
    await bot.subscribe(publish=True, thread=True, pin=True)

    await bot.weeks(2)

    assert bot.step_names() == [StepName.PUBLISH, StepName.THREAD, StepName.PIN] * 2


async def test_steps_of_a_late_post_have_the_full_catch_up_time(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    bot.sender.following = [DOWN]

    await bot.tick(SLOT + timedelta(hours=23, minutes=59, seconds=59))
    await bot.tick_until(SLOT + timedelta(hours=25))

    assert bot.step_names() == [StepName.PIN]


async def test_steps_are_made_after_a_crash(bot: Bot) -> None:
    await bot.subscribe(publish=True, thread=True, pin=True)
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)

    await bot.tick(minutes=1)

    assert sorted(bot.step_names()) == [StepName.PIN, StepName.PUBLISH, StepName.THREAD]
    assert bot.topics() == ["flask"]


@pytest.mark.parametrize("error", [DOWN, CUT], ids=["not sent", "unknown"])
async def test_a_temporarily_failing_step_is_retried_without_another_post(bot: Bot, error: Exception) -> None:
    await bot.subscribe(publish=True, thread=True, pin=True)
    bot.sender.following = [None, error, error, error]

    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert sorted(bot.step_names()) == [StepName.PIN, StepName.PUBLISH, StepName.THREAD]


async def test_a_refused_step_is_abandoned_with_its_reason_and_the_post_stays(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    bot.sender.following = [PermanentError("weekbot may not pin")]

    await bot.tick_until(SLOT + timedelta(hours=1))

    last = await bot.last()
    assert bot.topics() == ["flask"]
    assert bot.sender.steps == []
    assert last.state is State.SENT
    assert await bot.process.steps.failures([last.id]) == {last.id: ["weekbot may not pin"]}
    assert (await bot.subscription()).blocked is None


async def test_a_step_that_fails_for_the_whole_catch_up_time_is_abandoned(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    bot.sender.following = [DOWN_FOR_HOURS] * 100

    await bot.tick_until(SLOT + timedelta(hours=27))
    left = len(bot.sender.following)
    await bot.tick_until(SLOT + timedelta(hours=40))

    assert 80 < left < 100
    assert len(bot.sender.following) == left
    assert bot.topics() == ["flask"]


async def test_only_a_successful_pin_is_recorded(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    await bot.tick(SLOT)
    assert (await bot.subscription()).pinned_message_id == 1000

    bot.sender.following = [PermanentError("weekbot may not pin")]
    await bot.weeks(1)
    assert (await bot.subscription()).pinned_message_id == 1000

    await bot.weeks(1)
    assert (await bot.subscription()).pinned_message_id == 1002


async def test_a_step_works_after_its_topic_was_removed_from_the_content(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    bot.sender.following = [DOWN]
    await bot.tick(SLOT)
    bot.live_library.put("django")

    await bot.tick(minutes=5)

    assert bot.step_names() == [StepName.PIN]


# Manual deliveries and choices


async def test_a_skipped_topic_is_not_posted_in_the_round(bot: Bot) -> None:
    await bot.subscribe()

    skipped = await bot.skip()
    await bot.weeks(4)

    assert skipped is not None
    assert (skipped.state, skipped.topic) == (State.SKIPPED, "flask")
    assert bot.topics() == ["django", "dash", "numpy", "flask"]


async def test_a_chosen_topic_can_be_skipped(bot: Bot) -> None:
    await bot.subscribe()
    await bot.choose("numpy")

    await bot.skip()
    await bot.weeks(3)

    assert bot.topics() == ["flask", "django", "dash"]


async def test_a_manual_post_is_additional_to_the_weekly_one(bot: Bot) -> None:
    before = await bot.subscribe(pin=True)

    posted = await bot.post_now()
    assert (await bot.subscription()).next_slot == before.next_slot
    await bot.tick(SLOT)

    assert posted is not None
    assert (posted.state, posted.message_id) == (State.SENT, 1000)
    assert bot.topics() == ["flask", "django"]
    assert bot.step_names() == [StepName.PIN, StepName.PIN]


async def test_no_manual_delivery_is_made_while_a_post_is_pending(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(minutes=30))]
    await bot.tick(SLOT)
    bot.clock.move(minutes=1)

    assert await bot.post_now() is None
    assert await bot.skip() is None

    await bot.tick(hours=1)
    assert bot.topics() == ["flask"]


async def test_simultaneous_manual_deliveries_make_one_post(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(minutes=30))]

    posted = await asyncio.gather(*(bot.post_now() for _ in range(5)))
    await bot.tick(minutes=45)

    assert len([delivery for delivery in posted if delivery]) == 1
    assert bot.topics() == ["flask"]


async def test_a_failed_manual_delivery_is_retried_by_a_later_tick(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN]

    posted = await bot.post_now()
    assert posted is not None
    assert (posted.state, posted.reason) == (State.PENDING, "Discord cannot be reached")
    await bot.tick(minutes=1)

    assert bot.topics() == ["flask"]


async def test_a_refused_manual_delivery_has_a_reason(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [REFUSED]

    posted = await bot.post_now()

    assert posted is not None
    assert (posted.state, posted.reason) == (State.BLOCKED, "weekbot cannot see the channel")


async def test_a_manual_delivery_at_the_slots_instant_does_not_replace_the_weekly_post(bot: Bot) -> None:
    await bot.subscribe()
    bot.clock.instant = SLOT

    await bot.post_now()
    await bot.tick()

    assert bot.topics() == ["flask", "django"]


async def test_a_chosen_topic_is_used_once_and_the_order_continues(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(1)
    await bot.choose("dash")

    await bot.weeks(3)

    assert bot.topics() == ["flask", "dash", "django", "numpy"]


async def test_a_used_topic_can_be_chosen_again(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(2)
    await bot.choose("flask")

    await bot.weeks(3)

    assert bot.topics() == ["flask", "django", "flask", "dash", "numpy"]


async def test_a_chosen_topic_that_is_missed_is_still_chosen(bot: Bot) -> None:
    await bot.subscribe()
    await bot.choose("numpy")
    bot.sender.before = [DOWN_FOR_HOURS] * 100
    await bot.tick_until(SLOT + timedelta(hours=27))
    bot.sender.before = []

    await bot.weeks(2)

    assert bot.topics() == ["numpy", "flask"]


async def test_a_start_topic_is_first_and_the_others_follow_in_order(bot: Bot) -> None:
    await bot.subscribe(start_topic="dash")

    await bot.weeks(6)

    assert bot.topics() == ["dash", "numpy", "flask", "django", "dash", "numpy"]


async def test_a_start_topic_given_later_begins_a_new_round(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(2)
    await bot.subscribe(start_topic="django")

    await bot.weeks(4)

    assert bot.topics() == ["flask", "django", "django", "dash", "numpy", "flask"]


async def test_a_pause_loses_no_topic(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(1)
    await bot.change(subscription_rules.pause)
    await bot.tick(weeks=4)
    assert bot.topics() == ["flask"]

    await bot.change(lambda current: subscription_rules.resume(current, bot.clock.now()))
    await bot.weeks(3)

    assert bot.topics() == list(SLUGS)


async def test_a_pause_that_ends_before_the_slot_is_claimed_loses_no_week(bot: Bot) -> None:
    await bot.subscribe()
    bot.clock.instant = SLOT + timedelta(seconds=10)
    await bot.change(subscription_rules.pause)
    bot.clock.move(seconds=20)

    await bot.change(lambda current: subscription_rules.resume(current, bot.clock.now()))
    await bot.tick(seconds=30)
    await bot.tick(SLOT + timedelta(days=6))

    assert bot.topics() == ["flask"]


async def test_resubscribing_before_the_slot_is_claimed_loses_no_week(bot: Bot) -> None:
    await bot.subscribe()
    bot.clock.instant = SLOT + timedelta(seconds=10)
    await bot.change(subscription_rules.unsubscribe)
    bot.clock.move(seconds=20)

    await bot.subscribe()
    await bot.tick(seconds=30)
    await bot.tick(SLOT + timedelta(days=6))

    assert bot.topics() == ["flask"]


async def test_a_new_server_time_zone_during_a_pause_loses_no_week(bot: Bot) -> None:
    await bot.subscribe()
    bot.clock.instant = SLOT + timedelta(seconds=10)
    await bot.change(subscription_rules.pause)
    await bot.process.subscriptions.reschedule_guild(GUILD, "Europe/Berlin", bot.clock.now())

    await bot.change(lambda current: subscription_rules.resume(current, bot.clock.now()))
    await bot.tick(seconds=30)

    assert bot.topics() == ["flask"]


async def test_resubscribing_makes_no_second_post_in_the_week(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)

    await bot.change(subscription_rules.unsubscribe)
    await bot.tick(hours=1)
    await bot.subscribe(weekday=4)
    await bot.tick_until(SLOT + timedelta(hours=2))
    await bot.tick(SLOT + timedelta(days=6))

    assert bot.topics() == ["flask"]


# Changed content


async def test_the_next_round_starts_after_the_last_topic(bot: Bot) -> None:
    await bot.subscribe()

    await bot.weeks(9)

    assert bot.topics() == [*SLUGS, *SLUGS, "flask"]


async def test_an_inserted_topic_is_posted_in_order_or_next_if_its_position_has_passed(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(2)
    bot.live_library.put("scrapy", "flask", "django", "sanic", "dash", "numpy")

    await bot.weeks(5)

    assert bot.topics() == ["flask", "django", "scrapy", "sanic", "dash", "numpy", "scrapy"]


async def test_reordering_repeats_and_loses_no_topic(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(2)
    bot.live_library.put("numpy", "flask", "dash", "django")

    await bot.weeks(3)

    assert bot.topics() == ["flask", "django", "numpy", "dash", "numpy"]


async def test_a_chosen_topic_that_was_removed_is_posted_when_it_returns(bot: Bot) -> None:
    await bot.subscribe()
    await bot.choose("numpy")
    bot.live_library.put("flask", "django", "dash")
    await bot.weeks(1)
    bot.live_library.put(*SLUGS)

    await bot.weeks(2)

    assert bot.topics() == ["flask", "numpy", "django"]


async def delay_post(bot: Bot) -> None:
    """Claim the slot's topic, and let Discord delay the post by half an hour."""
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(minutes=30))]
    await bot.tick((await bot.subscription()).next_slot.instant)


async def test_a_topic_that_was_removed_between_claim_and_post_is_replaced_by_the_next(bot: Bot) -> None:
    await bot.subscribe()
    await delay_post(bot)
    bot.live_library.put("django", "dash", "numpy")

    await bot.tick(hours=1)
    await bot.weeks(2)

    assert bot.topics() == ["django", "dash", "numpy"]


async def test_a_replacement_that_begins_a_round_is_not_repeated_in_it(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(3)
    await delay_post(bot)
    bot.live_library.put("flask", "django", "dash")

    await bot.tick(hours=1)
    await bot.weeks(2)

    assert bot.topics() == ["flask", "django", "dash", "flask", "django", "dash"]


async def test_a_topic_chosen_as_the_replacement_is_used_once(bot: Bot) -> None:
    await bot.subscribe()
    await delay_post(bot)
    bot.live_library.put("django", "dash", "numpy")
    await bot.choose("numpy")

    await bot.tick(hours=1)
    await bot.weeks(2)

    assert bot.topics() == ["numpy", "django", "dash"]


async def test_a_removed_topic_with_an_unknown_outcome_is_looked_up_first(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.live_library.put("django", "dash", "numpy")

    await bot.tick_until(SLOT + timedelta(minutes=10))

    assert bot.topics() == ["flask"]
    assert (bot.sender.sends, bot.sender.look_ups) == (1, 1)
    assert (await bot.last()).state is State.SENT


async def test_the_last_topic_of_a_round_is_not_lost_if_it_is_missed_after_the_next_slot(bot: Bot) -> None:
    await bot.subscribe(weekday=6, start_topic="django")
    await bot.weeks(3)
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(hours=24, minutes=1))]
    sunday = (await bot.subscription()).next_slot.instant
    await bot.tick(sunday)
    await bot.subscribe(weekday=0)

    await bot.tick(sunday + timedelta(hours=24))
    await bot.tick(hours=1)
    await bot.weeks(4)

    assert "flask" in bot.topics()[3:5]


async def delay_last_topic_into_the_next_round(bot: Bot) -> None:
    """Delay numpy, the last topic of the round, on a Sunday; post flask, the first of the next round, on Monday."""
    await bot.subscribe(weekday=6)
    await bot.weeks(3)
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", timedelta(hours=23))]
    sunday = (await bot.subscription()).next_slot.instant
    await bot.tick(sunday)
    await bot.subscribe(weekday=0, at=time(6))
    await bot.tick(sunday + timedelta(hours=21))
    assert bot.topics() == ["flask", "django", "dash", "flask"]


@pytest.mark.parametrize("chosen", [None, "dash"])
async def test_the_last_topic_of_a_round_is_next_if_it_is_refused_in_the_next_round(
    bot: Bot, chosen: str | None
) -> None:
    await delay_last_topic_into_the_next_round(bot)
    if chosen:
        await bot.choose(chosen)
    bot.sender.before = [REFUSED]

    await bot.tick(hours=3)
    await bot.weeks(5)

    in_order = ["numpy", "django", "dash", "numpy", "flask"]
    assert bot.topics()[4:] == ([chosen, *in_order[:-1]] if chosen else in_order)


async def test_the_last_topic_of_a_round_is_not_repeated_if_it_is_posted_in_the_next_round(bot: Bot) -> None:
    await delay_last_topic_into_the_next_round(bot)

    await bot.tick(hours=3)
    await bot.weeks(4)

    assert bot.topics()[4:] == ["numpy", "django", "dash", "numpy", "flask"]


async def test_a_topic_chosen_at_the_end_of_a_round_counts_in_the_next_one(bot: Bot) -> None:
    await bot.subscribe()
    await bot.weeks(4)
    await bot.choose("dash")

    await bot.weeks(5)

    assert bot.topics()[4:] == ["dash", "flask", "django", "numpy", "flask"]


async def test_a_start_topic_given_in_the_next_round_is_posted_first(bot: Bot) -> None:
    await delay_last_topic_into_the_next_round(bot)
    await bot.subscribe(start_topic="flask")
    bot.sender.before = [REFUSED]

    await bot.tick(hours=3)
    await bot.weeks(5)

    assert bot.topics()[4:] == ["flask", "django", "dash", "numpy", "flask"]


async def test_an_unsubscribed_channel_gets_no_pending_post(bot: Bot) -> None:
    await bot.subscribe()
    await delay_post(bot)
    await bot.change(subscription_rules.unsubscribe)

    await bot.tick(hours=1)

    assert bot.topics() == []


async def test_a_paused_channel_gets_its_pending_post_after_the_pause(bot: Bot) -> None:
    await bot.subscribe()
    await delay_post(bot)
    await bot.change(subscription_rules.pause)
    await bot.tick(hours=1)
    assert bot.topics() == []

    await bot.change(lambda current: subscription_rules.resume(current, bot.clock.now()))
    await bot.weeks(2)

    assert bot.topics() == ["flask", "django"]


# Concurrency and shutdown


async def test_an_unexpected_error_in_one_delivery_delays_no_other(bot: Bot) -> None:
    for channel_id in range(100, 105):
        await bot.subscribe(channel_id)
    bot.sender.before = [None, ZeroDivisionError("unexpected")]

    await bot.tick(SLOT)
    at_the_slot = {channel_id for _, channel_id, _ in bot.sender.posts[:4]}
    await bot.tick_until(SLOT + timedelta(minutes=5))

    assert len(at_the_slot) == 4
    assert bot.channels() == list(range(100, 105))


async def test_an_unexpected_error_in_a_step_delays_no_other(bot: Bot) -> None:
    for channel_id in range(100, 105):
        await bot.subscribe(channel_id, pin=True)
    bot.sender.following = [None, ZeroDivisionError("unexpected")]

    await bot.tick_until(SLOT + timedelta(minutes=5))

    assert len(bot.sender.steps) == 5


async def test_an_unexpected_error_in_a_step_is_retried_after_a_pause(bot: Bot) -> None:
    await bot.subscribe(pin=True)
    bot.sender.following = [ZeroDivisionError("unexpected")] * 50

    await bot.tick(SLOT)

    assert len(bot.sender.following) > 40


async def test_an_unexpected_error_in_a_look_up_is_retried_after_a_pause(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.finding = [ZeroDivisionError("unexpected")] * 50

    await bot.tick(minutes=5)

    assert len(bot.sender.finding) > 40


async def test_a_tick_during_a_tick_does_nothing(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.forget_nonces()
    bot.clock.instant = SLOT

    await asyncio.gather(*(bot.process.dispatcher.run() for _ in range(5)))

    assert bot.topics() == ["flask"]


@dataclass
class SlowSender(FakeSender):
    """Blocks every send until it is released."""

    sending: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, delivery: Delivery, topic: Topic) -> SentMessage:
        self.sending.set()
        await self.released.wait()
        return await super().send(delivery, topic)


async def stop_while_sending(bot: Bot, sender: SlowSender) -> None:
    """Stop a process whose first posts are in flight, then release them."""
    process = bot.another_process(sender, requests_per_second=1)
    bot.clock.instant = SLOT
    running = asyncio.create_task(process.dispatcher.run())
    await sender.sending.wait()
    stopping = asyncio.create_task(process.dispatcher.stop())
    await asyncio.sleep(0.01)
    assert not stopping.done()
    sender.released.set()
    await asyncio.gather(running, stopping)
    await process.close()


async def test_a_stop_finishes_and_records_posts_in_flight(bot: Bot) -> None:
    await bot.subscribe()
    sender = SlowSender()

    await stop_while_sending(bot, sender)

    assert sender.topics(CHANNEL) == ["flask"]
    assert (await bot.last()).state is State.SENT


async def test_a_stop_starts_nothing_and_the_next_start_posts_the_rest(bot: Bot) -> None:
    for channel_id in range(100, 130):
        await bot.subscribe(channel_id)
    sender = SlowSender()

    await stop_while_sending(bot, sender)
    assert 0 < len(sender.posts) <= 10
    await bot.tick(minutes=1)

    channels = [channel_id for _, channel_id, _ in [*sender.posts, *bot.sender.posts]]
    assert sorted(channels) == list(range(100, 130))


@dataclass
class EndlessClock(FakeClock):
    """A clock whose sleeps never end."""

    sleeping: asyncio.Event = field(default_factory=asyncio.Event)

    async def sleep(self, duration: timedelta) -> None:
        self.sleeping.set()
        await asyncio.Event().wait()


async def test_a_stop_does_not_wait_for_a_retry(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN]
    clock = EndlessClock(SLOT)
    process = bot.another_process(bot.sender, clock)
    running = asyncio.create_task(process.dispatcher.run())
    await clock.sleeping.wait()

    await process.dispatcher.stop()
    await running
    await process.close()

    assert bot.sender.sends == 1


async def test_two_processes_over_one_database_send_one_post_a_channel(bot: Bot) -> None:
    for channel_id in range(100, 110):
        await bot.subscribe(channel_id)
    clock = EndlessClock(SLOT)
    both = [bot.another_process(bot.sender, clock) for _ in range(2)]
    running = [asyncio.create_task(process.dispatcher.run()) for process in both]

    await bot.sender.posted(10)
    for process in both:
        await process.dispatcher.stop()
        await process.close()
    await asyncio.gather(*running)

    assert bot.channels() == list(range(100, 110))
    assert bot.sender.sends == 10


async def test_nothing_is_sent_after_a_stop(bot: Bot) -> None:
    await bot.subscribe()
    await bot.process.dispatcher.stop()

    await bot.tick(SLOT)

    assert bot.topics() == []


# Clock changes


@pytest.mark.parametrize("back", [timedelta(minutes=3), timedelta(hours=1), timedelta(hours=26)], ids=str)
async def test_setting_the_clock_back_after_a_crash_duplicates_nothing(bot: Bot, back: timedelta) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.forget_nonces()

    await bot.tick(SLOT - back)
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert bot.sender.look_ups == 1
    assert (await bot.last()).state is State.SENT


async def test_setting_the_clock_back_during_an_unknown_outcome_duplicates_nothing(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.after = [CUT]
    bot.sender.before = [None, RetryableError("Discord asked weekbot to wait", timedelta(minutes=10))]
    await bot.tick(SLOT)
    bot.sender.forget_nonces()

    await bot.tick(SLOT - timedelta(hours=1))
    await bot.tick_until(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert (bot.sender.sends, bot.sender.look_ups) == (2, 1)


async def test_setting_the_clock_ahead_during_an_unknown_outcome_duplicates_nothing(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.crashes_after = {1}
    await bot.tick_and_crash(SLOT)
    bot.sender.forget_nonces()

    await bot.tick(SLOT + timedelta(days=30))

    assert bot.topics()[:1] == ["flask"]
    assert bot.topics().count("flask") == 1


async def test_a_slot_that_was_early_because_of_the_clock_is_not_repeated(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT + timedelta(hours=1))

    await bot.process.restart()
    await bot.tick(SLOT - timedelta(days=2))
    await bot.tick_until(SLOT + timedelta(days=6))

    assert bot.topics() == ["flask"]


async def test_setting_the_clock_back_after_a_post_duplicates_nothing(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)

    await bot.tick(SLOT - timedelta(hours=3))
    await bot.tick(SLOT)
    await bot.tick(minutes=5)

    assert bot.topics() == ["flask"]
