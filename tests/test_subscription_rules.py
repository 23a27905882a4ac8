"""Changes to subscriptions: subscribing, changing options, pausing, resetting, choosing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from fakes import MONDAY
from weekbot.domain.schedule import next_slot, slot_in, week_of
from weekbot.domain.subscription_rules import (
    Choices,
    NotSubscribedError,
    choose,
    pause,
    reset,
    resume,
    subscribe,
    unsubscribe,
)
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.domain.unreadable_options import DAY, OWN_ZONE, Unreadable, UnreadableError

GUILD, CHANNEL = 10, 20
WEEK = timedelta(weeks=1)
SLOT = MONDAY + timedelta(hours=1)
AFTER_SLOT = MONDAY + timedelta(hours=2)

ALL_CHOICES = Choices("web", 4, time(18, 30), "Asia/Tokyo", 77, True, True, True, "django")
OPTIONS = Options("web", 4, time(18, 30), "Asia/Tokyo", 77, True, True, True, "django")

Edit = Callable[[Subscription], Subscription]


def subscribed(current: Subscription | None, now: datetime = MONDAY, zone: str = "UTC", **given: Any) -> Subscription:
    return subscribe(current, GUILD, CHANNEL, zone, Choices(**given), now)


def new(zone: str = "UTC", **given: Any) -> Subscription:
    """Return a new subscription with an id, as the database returns it."""
    return replace(subscribed(None, zone=zone, **given), id=1)


def after_claim(subscription: Subscription) -> Subscription:
    """Return the subscription after its slot was claimed."""
    slot = subscription.next_slot
    return replace(subscription, last_slot=slot, next_slot=next_slot(subscription.weekly, slot.instant, slot))


# Subscribing


def test_a_new_subscription_posts_everything_on_mondays_at_nine() -> None:
    subscription = subscribed(None)

    assert subscription.options == Options("everything", 0, time(9), None, None, False, False, False, None)
    assert (subscription.guild_id, subscription.channel_id) == (GUILD, CHANNEL)
    assert (subscription.id, subscription.round, subscription.last_slot) == (0, 1, None)
    assert subscription.active
    assert not subscription.paused
    assert subscription.next_slot.instant == datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_a_new_subscription_uses_the_servers_time_zone() -> None:
    assert subscribed(None, zone="America/New_York").next_slot.instant == datetime(2026, 11, 23, 14, tzinfo=UTC)


def test_a_channels_time_zone_overrides_the_servers() -> None:
    subscription = subscribed(None, zone="America/New_York", timezone="Europe/Berlin")

    # It's 09:00 in Berlin, so the first post is next week.
    assert subscription.next_slot.instant == datetime(2026, 11, 30, 8, tzinfo=UTC)


def test_every_given_option_is_applied() -> None:
    assert subscribe(None, GUILD, CHANNEL, "UTC", ALL_CHOICES, MONDAY).options == OPTIONS


# Changing


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("track", "beyond-web"),
        ("weekday", 0),
        ("at", time(0)),
        ("timezone", "UTC"),
        ("ping_role_id", 78),
        ("thread", False),
        ("pin", False),
        ("publish", False),
        ("start_topic", "flask"),
    ],
)
def test_subscribing_again_changes_only_the_given_option(name: str, value: Any) -> None:
    current = replace(new(), options=OPTIONS)

    changed = subscribed(current, **{name: value})

    expected = {**vars(OPTIONS), name: value}
    assert vars(changed.options) == expected
    assert (changed.id, changed.guild_id, changed.channel_id) == (current.id, current.guild_id, current.channel_id)


@pytest.mark.parametrize("given", [{"track": "web"}, {"ping_role_id": 77}, {"pin": True}], ids=str)
def test_options_unrelated_to_time_move_no_slot(given: dict[str, Any]) -> None:
    current = after_claim(new())

    changed = subscribed(current, SLOT + timedelta(days=3), **given)

    assert (changed.next_slot, changed.last_slot, changed.round) == (current.next_slot, current.last_slot, 1)


def test_subscribing_again_with_nothing_changes_nothing() -> None:
    current = after_claim(new(weekday=2, timezone="Asia/Tokyo"))

    assert subscribed(current, SLOT + timedelta(days=3)) == current


def test_a_new_time_moves_the_slot() -> None:
    assert subscribed(new(), at=time(18)).next_slot.instant == datetime(2026, 11, 23, 18, tzinfo=UTC)
    assert subscribed(new(), weekday=3).next_slot.instant == datetime(2026, 11, 26, 9, tzinfo=UTC)
    assert subscribed(new(), timezone="America/New_York").next_slot.instant == datetime(2026, 11, 23, 14, tzinfo=UTC)


@pytest.mark.parametrize("given", [{"weekday": 4}, {"at": time(18)}, {"timezone": "America/New_York"}], ids=str)
def test_a_new_time_makes_no_second_slot_in_a_week(given: dict[str, Any]) -> None:
    current = after_claim(new())

    changed = subscribed(current, AFTER_SLOT, **given)

    assert changed.next_slot.week == current.next_slot.week
    assert changed.next_slot == slot_in(changed.weekly, current.next_slot.week)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A Sunday in UTC that is Monday in Tokyo; a Monday in UTC that is Sunday in New York.
        ({"weekday": 6, "at": time(23, 30)}, {"weekday": 2, "timezone": "Asia/Tokyo"}),
        ({"weekday": 0, "at": time(0, 30)}, {"weekday": 2, "timezone": "America/New_York"}),
        # The next Monday in Tokyo is still Sunday in UTC.
        ({"weekday": 0, "at": time(9)}, {"weekday": 0, "at": time(0, 30), "timezone": "Asia/Tokyo"}),
    ],
    ids=["from a Sunday", "from a Monday", "to a Monday"],
)
def test_a_move_across_the_end_of_the_week_makes_no_second_post_in_either_time_zone(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    current = after_claim(new(**before))
    assert current.last_slot is not None

    changed = subscribed(current, current.last_slot.instant + timedelta(minutes=1), **after)

    for zone in (current.weekly.zone, changed.weekly.zone):
        assert week_of(changed.next_slot.instant, zone) > week_of(current.last_slot.instant, zone)


@pytest.mark.parametrize(
    "given", [{"weekday": 4}, {"at": time(18)}, {"timezone": "America/New_York"}, {"start_topic": "flask"}], ids=str
)
def test_a_change_keeps_a_due_slot(given: dict[str, Any]) -> None:
    current = new()

    assert subscribed(current, AFTER_SLOT, **given).next_slot == current.next_slot


def test_a_change_of_a_paused_subscription_leaves_no_slot_in_the_past() -> None:
    current = pause(new())

    assert subscribed(current, AFTER_SLOT, at=time(18)).next_slot.instant == datetime(2026, 11, 23, 18, tzinfo=UTC)


def test_a_change_unblocks_a_channel() -> None:
    assert subscribed(replace(new(), blocked="the channel is gone")).blocked is None


def test_a_change_clears_a_warning() -> None:
    assert subscribed(replace(new(), warning="the role to ping is gone"), ping_role_id=78).warning is None


@pytest.mark.parametrize(
    "edit", [pause, unsubscribe, lambda current: choose(current, "flask")], ids=["pause", "unsubscribe", "choose"]
)
def test_other_changes_keep_a_warning(edit: Edit) -> None:
    assert edit(replace(new(), warning="the role to ping is gone")).warning == "the role to ping is gone"


def test_a_change_keeps_a_pause_and_a_choice() -> None:
    current = choose(pause(new()), "dash")

    changed = subscribed(current, pin=True)

    assert changed.paused
    assert changed.chosen_topic == "dash"


def test_a_start_topic_begins_a_new_round() -> None:
    changed = subscribed(choose(replace(new(), round=4), "dash"), start_topic="flask")

    assert (changed.round, changed.options.start_topic, changed.chosen_topic) == (5, "flask", None)


def test_the_same_start_topic_begins_another_round() -> None:
    assert subscribed(new(start_topic="flask"), start_topic="flask").round == 2


def test_a_change_without_a_start_topic_keeps_the_round() -> None:
    assert subscribed(new(start_topic="flask"), at=time(18)).round == 1


# Unsubscribing and resubscribing


def test_unsubscribing_keeps_all_data() -> None:
    current = after_claim(new(weekday=2, pin=True))

    assert unsubscribe(current) == replace(current, active=False)


def test_resubscribing_continues_with_the_previous_round_and_options() -> None:
    before = replace(
        after_claim(new(weekday=0, pin=True, start_topic="flask")), blocked="no access", warning="no access"
    )
    before = choose(before, "dash")
    ended = unsubscribe(pause(before))

    back = subscribed(ended, AFTER_SLOT, thread=True)

    assert back.active
    assert not back.paused
    assert back.options == replace(before.options, thread=True)
    assert (back.round, back.blocked, back.warning, back.chosen_topic) == (before.round, None, None, "dash")
    assert (back.id, back.last_slot) == (ended.id, ended.last_slot)


def test_resubscribing_with_a_start_topic_begins_a_new_round() -> None:
    ended = unsubscribe(choose(after_claim(new(pin=True)), "dash"))
    back = subscribed(ended, AFTER_SLOT, start_topic="flask")
    assert (back.round, back.chosen_topic, back.options.start_topic) == (ended.round + 1, None, "flask")
    assert back.options.pin


def test_resubscribing_just_after_the_slot_with_another_time_posts_at_that_time() -> None:
    ended = unsubscribe(new())
    back = subscribed(ended, SLOT + timedelta(minutes=3), at=time(18))
    assert back.next_slot.instant == datetime(2026, 11, 23, 18, tzinfo=UTC)
    assert subscribed(ended, SLOT + timedelta(minutes=3)).next_slot.instant == SLOT


def test_resubscribing_makes_no_second_post_in_the_week() -> None:
    ended = unsubscribe(after_claim(new()))

    back = subscribed(ended, AFTER_SLOT, weekday=5)

    assert back.next_slot.instant == datetime(2026, 12, 5, 9, tzinfo=UTC)


def test_resubscribing_before_the_weeks_post_keeps_a_post_this_week() -> None:
    ended = unsubscribe(new())

    assert subscribed(ended, AFTER_SLOT, weekday=5).next_slot.instant == datetime(2026, 11, 28, 9, tzinfo=UTC)


def test_resubscribing_after_months_leaves_no_slot_in_the_past() -> None:
    ended = unsubscribe(after_claim(new()))

    assert subscribed(ended, MONDAY + 20 * WEEK).next_slot.instant == SLOT + 20 * WEEK


# Pausing


def test_a_pause_keeps_everything_but_posts_nothing() -> None:
    current = new()

    paused = pause(current)

    assert paused == replace(current, paused=True)
    assert current.is_due(SLOT)
    assert not paused.is_due(SLOT)


def test_a_second_pause_changes_nothing() -> None:
    assert pause(pause(new())) == pause(new())


def test_resuming_continues_with_the_next_slot_and_skips_past_ones() -> None:
    resumed = resume(pause(after_claim(new())), SLOT + 5 * WEEK)

    assert not resumed.paused
    assert resumed.round == 1
    assert resumed.next_slot.instant == SLOT + 6 * WEEK


def test_a_pause_without_a_slot_changes_nothing() -> None:
    current = after_claim(new())

    assert resume(pause(current), SLOT + timedelta(days=3)) == current


def test_pausing_and_resuming_makes_no_second_post_in_the_week() -> None:
    current = after_claim(new(at=time(9)))

    assert resume(pause(subscribed(current, AFTER_SLOT, weekday=6)), AFTER_SLOT).next_slot.instant == datetime(
        2026, 12, 6, 9, tzinfo=UTC
    )


def test_repeated_changes_are_idempotent() -> None:
    running = new()
    assert resume(running, MONDAY) == running
    assert pause(pause(running)) == pause(running)
    assert unsubscribe(unsubscribe(running)) == unsubscribe(running)


# Resetting


@pytest.mark.parametrize(
    ("option", "field"), [("ping", "ping_role_id"), ("timezone", "timezone"), ("start", "start_topic")]
)
def test_an_option_can_be_reset_within_the_round(option: str, field: str) -> None:
    before = after_claim(new(timezone="Asia/Tokyo", ping_role_id=77, start_topic="django", pin=True))
    unset = reset(before, option, AFTER_SLOT)
    expected: dict[str, Any] = {field: None}
    assert unset.options == replace(before.options, **expected)
    assert (unset.round, unset.last_slot, unset.chosen_topic) == (before.round, before.last_slot, None)


def test_a_channel_without_a_time_zone_uses_the_servers_again() -> None:
    before = replace(new(timezone="Asia/Tokyo"), guild_timezone="America/New_York")
    unset = reset(before, "timezone", MONDAY)
    assert unset.next_slot.instant == datetime(2026, 11, 23, 14, tzinfo=UTC)


def test_a_chosen_topic_can_be_reset() -> None:
    assert reset(choose(new(), "dash"), "next", MONDAY) == new()


def test_an_unknown_stored_time_zone_can_be_reset() -> None:
    unknown = Unreadable("timezone", "Mars/Olympus", OWN_ZONE)
    broken = replace(new(), unreadable=(unknown,))
    assert reset(broken, "timezone", MONDAY) == new()
    with pytest.raises(UnreadableError):
        reset(replace(broken, unreadable=(unknown, Unreadable("weekday", 9, DAY))), "timezone", MONDAY)
    with pytest.raises(UnreadableError):
        reset(replace(broken, guild_timezone="Mars/Olympus"), "timezone", MONDAY)


def test_a_repeated_start_topic_begins_no_other_round_if_the_round_has_just_begun() -> None:
    current = new(start_topic="flask")
    again = subscribe(current, GUILD, CHANNEL, "UTC", Choices(start_topic="flask"), MONDAY, round_just_begun=True)
    assert again == current
    for changed in (replace(current, chosen_topic="dash"), new(start_topic="django"), unsubscribe(current)):
        anew = subscribe(changed, GUILD, CHANNEL, "UTC", Choices(start_topic="flask"), MONDAY, round_just_begun=True)
        assert (anew.round, anew.chosen_topic) == (changed.round + 1, None)


def unsubscribe_and_resubscribe(current: Subscription, now: datetime) -> Subscription:
    return subscribed(unsubscribe(current), now)


def pause_and_resume(current: Subscription, now: datetime) -> Subscription:
    return resume(pause(current), now)


ROUND_TRIPS = pytest.mark.parametrize("round_trip", [pause_and_resume, unsubscribe_and_resubscribe])


@ROUND_TRIPS
@pytest.mark.parametrize("since_slot", [timedelta(), timedelta(seconds=30), timedelta(minutes=4)], ids=str)
def test_a_slot_that_is_just_due_is_kept(
    round_trip: Callable[[Subscription, datetime], Subscription], since_slot: timedelta
) -> None:
    back = round_trip(new(), SLOT + since_slot)

    assert back.next_slot.instant == SLOT
    assert back.is_due(SLOT + since_slot)


@ROUND_TRIPS
def test_a_slot_that_was_claimed_is_not_kept(
    round_trip: Callable[[Subscription, datetime], Subscription],
) -> None:
    assert round_trip(after_claim(new()), SLOT + timedelta(seconds=30)).next_slot.instant == SLOT + WEEK


@ROUND_TRIPS
def test_a_slot_that_passed_long_before_is_not_kept(
    round_trip: Callable[[Subscription, datetime], Subscription],
) -> None:
    assert round_trip(new(), SLOT + timedelta(minutes=5)).next_slot.instant == SLOT + WEEK


# Choosing


def test_the_last_chosen_topic_is_next() -> None:
    assert choose(choose(new(), "dash"), "flask") == replace(new(), chosen_topic="flask")


# Without a subscription


@pytest.mark.parametrize(
    "edit",
    [
        pause,
        lambda current: resume(current, MONDAY),
        lambda current: choose(current, "flask"),
        lambda current: reset(current, "ping", MONDAY),
    ],
    ids=["pause", "resume", "choose", "reset"],
)
def test_an_unsubscribed_channel_cannot_be_changed(edit: Edit) -> None:
    with pytest.raises(NotSubscribedError, match="This channel has no weekly topic"):
        edit(unsubscribe(pause(new())))
