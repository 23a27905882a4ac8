"""The store, with each database backend."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from fakes import MONDAY
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnusableError
from weekbot.db.revision import LATEST, MIGRATIONS
from weekbot.db.tables import deliveries as deliveries_table
from weekbot.db.tables import metadata
from weekbot.db.tables import steps as steps_table
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import Delivery, Plan, Planner, State
from weekbot.domain.schedule import Slot, slot_in
from weekbot.domain.steps import Step, StepName, requested_steps
from weekbot.domain.subscription_rules import Choices, NotSubscribedError
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.store.deliveries import Deliveries
from weekbot.store.guilds import Guilds
from weekbot.store.metadata import Metadata
from weekbot.store.rows import CLAIMING
from weekbot.store.steps import Steps, excluding, for_delivery
from weekbot.store.subscriptions import Subscriptions, by_ids

GUILD, OTHER_GUILD = 10**18, 10**18 + 1
CHANNEL, OTHER_CHANNEL = 2 * 10**18, 3 * 10**18
SLOT = MONDAY + timedelta(hours=1)
WEEK = timedelta(weeks=1)
LEASE = timedelta(seconds=45)

End = Callable[[Deliveries, Delivery, str, datetime], Awaitable[None]]


async def subscribed(
    subscriptions: Subscriptions, channel_id: int = CHANNEL, guild_id: int = GUILD, given: Choices | None = None
) -> Subscription:
    def build(current: Subscription | None, guild_timezone: str) -> Subscription:
        return subscription_rules.subscribe(current, guild_id, channel_id, guild_timezone, given or Choices(), MONDAY)

    return (await subscriptions.put(guild_id, channel_id, build)).after


async def stored(subscriptions: Subscriptions, channel_id: int = CHANNEL) -> Subscription:
    found = await subscriptions.of_channel(channel_id)
    assert found is not None
    return found


async def again(deliveries: Deliveries, delivery: Delivery) -> Delivery:
    """Return the delivery as it is stored now."""
    found = await deliveries.get(delivery.id)
    assert found is not None
    return found


def planning(topic: str = "flask", *, chosen: bool = False, state: State = State.PENDING) -> Planner:
    def plan(subscription: Subscription, used: set[str]) -> Plan:
        return Plan(topic, subscription.round, chosen, state)

    return plan


async def claim(deliveries: Deliveries, due: Subscription, plan: Planner, now: datetime = SLOT) -> Delivery | None:
    """Claim one subscription's slot."""
    return next(iter(await deliveries.claim_due([due], plan, now)), None)


async def claimed(
    deliveries: Deliveries, subscriptions: Subscriptions, *, chosen: bool = False, given: Choices | None = None
) -> Delivery:
    subscription = await subscribed(subscriptions, given=given)
    delivery = await claim(deliveries, subscription, planning(chosen=chosen))
    assert delivery is not None
    return delivery


async def taken(deliveries: Deliveries, now: datetime = SLOT) -> Delivery:
    """Claim the only delivery that is due."""
    (delivery,) = await deliveries.claim(now, LEASE, 10)
    return delivery


async def taken_steps(steps: Steps, now: datetime = SLOT) -> list[Step]:
    """Claim all steps that are due."""
    return await steps.claim(now, LEASE, 10)


# Subscriptions


async def test_a_subscription_is_returned_as_it_was_stored(subscriptions: Subscriptions) -> None:
    given = Choices("web", 4, time(18, 30), "Asia/Kathmandu", 77, True, True, True, "django")

    put = await subscribed(subscriptions, given=given)

    assert put.id
    assert put.options == Options("web", 4, time(18, 30), "Asia/Kathmandu", 77, True, True, True, "django")
    assert await stored(subscriptions) == put


async def test_every_field_of_a_subscription_is_stored(subscriptions: Subscriptions) -> None:
    await subscribed(subscriptions)

    def change(current: Subscription) -> Subscription:
        last = Slot(SLOT - WEEK, SLOT.date() - WEEK, ZoneInfo("UTC"))
        changed = replace(current, round=3, last_slot=last, chosen_topic="dash", blocked="the channel is gone")
        changed = replace(changed, active=False, paused=True, warning="weekbot is missing Pin Messages")
        return replace(changed, pinned_message_id=10**18 + 7, parent_id=10**18 + 8)

    changed = await subscriptions.change(CHANNEL, change)

    assert changed is not None
    assert await stored(subscriptions) == changed.after


async def test_storing_again_changes_the_same_subscription(subscriptions: Subscriptions) -> None:
    first = await subscribed(subscriptions)
    second = await subscribed(subscriptions, given=Choices(track="web"))

    assert second.id == first.id
    assert [each.options.track for each in await subscriptions.of_guild(GUILD)] == ["web"]


async def test_concurrent_subscriptions_of_one_channel_create_one_row(subscriptions: Subscriptions) -> None:
    put = await asyncio.gather(*(subscribed(subscriptions) for _ in range(8)))

    assert len({each.id for each in put}) == 1
    assert len(await subscriptions.of_guild(GUILD)) == 1


async def test_a_channel_without_a_subscription_is_not_changed(subscriptions: Subscriptions) -> None:
    assert await subscriptions.of_channel(CHANNEL) is None
    assert await subscriptions.change(CHANNEL, subscription_rules.pause) is None


async def test_a_refused_change_changes_nothing(subscriptions: Subscriptions) -> None:
    await subscribed(subscriptions)
    ended = await subscriptions.change(CHANNEL, subscription_rules.unsubscribe)

    with pytest.raises(NotSubscribedError):
        await subscriptions.change(CHANNEL, subscription_rules.pause)

    assert ended is not None
    assert await stored(subscriptions) == ended.after


async def test_concurrent_changes_do_not_overwrite_each_other(subscriptions: Subscriptions) -> None:
    await subscribed(subscriptions)

    def count(current: Subscription) -> Subscription:
        return replace(current, round=current.round + 1)

    await asyncio.gather(*(subscriptions.change(CHANNEL, count) for _ in range(8)))

    assert (await stored(subscriptions)).round == 9


async def test_a_servers_active_subscriptions_are_listed_oldest_first(
    subscriptions: Subscriptions,
) -> None:
    for channel_id in (CHANNEL + 5, CHANNEL + 3, CHANNEL + 4):
        await subscribed(subscriptions, channel_id)
    await subscribed(subscriptions, OTHER_CHANNEL, OTHER_GUILD)
    await subscriptions.change(CHANNEL + 3, subscription_rules.unsubscribe)

    assert [each.channel_id for each in await subscriptions.of_guild(GUILD)] == [CHANNEL + 5, CHANNEL + 4]


async def test_due_subscriptions_are_active_unpaused_and_ordered_by_slot(
    subscriptions: Subscriptions,
) -> None:
    hours = {CHANNEL: 12, CHANNEL + 1: 9, CHANNEL + 2: 10, CHANNEL + 3: 9, CHANNEL + 4: 9}
    for channel_id, hour in hours.items():
        await subscribed(subscriptions, channel_id, given=Choices(at=time(hour)))
    await subscriptions.change(CHANNEL + 3, subscription_rules.pause)
    await subscriptions.change(CHANNEL + 4, subscription_rules.unsubscribe)

    async def due(now: datetime, limit: int = 10) -> list[int]:
        return [each.channel_id for each in await subscriptions.due(now, limit)]

    assert await due(SLOT - timedelta(microseconds=1)) == []
    assert await due(SLOT) == [CHANNEL + 1]
    assert await due(SLOT + timedelta(hours=2)) == [CHANNEL + 1, CHANNEL + 2]
    assert await due(SLOT + timedelta(hours=3), limit=2) == [CHANNEL + 1, CHANNEL + 2]


async def test_a_servers_time_zone_defaults_to_utc(subscriptions: Subscriptions, guilds: Guilds) -> None:
    assert (await guilds.settings(GUILD)).timezone == "UTC"

    await subscriptions.reschedule_guild(GUILD, "Europe/Berlin", MONDAY)

    assert (await guilds.settings(GUILD)).timezone == "Europe/Berlin"
    assert (await guilds.settings(OTHER_GUILD)).timezone == "UTC"


async def test_a_servers_new_time_zone_moves_only_the_subscriptions_that_use_it(subscriptions: Subscriptions) -> None:
    await subscribed(subscriptions)
    own = await subscribed(subscriptions, CHANNEL + 1, given=Choices(timezone="UTC"))
    elsewhere = await subscribed(subscriptions, OTHER_CHANNEL, OTHER_GUILD)

    await subscriptions.reschedule_guild(GUILD, "America/New_York", MONDAY)

    moved = await stored(subscriptions)
    assert moved.weekly.zone == ZoneInfo("America/New_York")
    assert moved.next_slot.instant == datetime(2026, 11, 23, 14, tzinfo=UTC)
    assert (await stored(subscriptions, CHANNEL + 1)).next_slot == own.next_slot
    assert await stored(subscriptions, OTHER_CHANNEL) == elsewhere


async def test_a_servers_new_time_zone_does_not_move_a_due_slot(subscriptions: Subscriptions) -> None:
    due = await subscribed(subscriptions)

    await subscriptions.reschedule_guild(GUILD, "America/New_York", SLOT + timedelta(minutes=1))

    assert (await stored(subscriptions)).next_slot.instant == due.next_slot.instant


async def test_a_servers_new_time_zone_causes_no_second_slot_in_a_week(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claimed(deliveries, subscriptions)

    await subscriptions.reschedule_guild(GUILD, "America/New_York", SLOT + timedelta(minutes=1))

    assert (await stored(subscriptions)).next_slot.instant == datetime(2026, 11, 30, 14, tzinfo=UTC)


async def test_a_new_subscription_uses_its_servers_time_zone(subscriptions: Subscriptions) -> None:
    await subscriptions.reschedule_guild(GUILD, "Asia/Tokyo", MONDAY)

    subscription = await subscribed(subscriptions)

    assert subscription.options.timezone is None
    assert subscription.guild_timezone == "Asia/Tokyo"
    assert subscription.next_slot.instant == datetime(2026, 11, 30, 0, tzinfo=UTC)


# Claims


async def test_a_claim_creates_the_delivery_and_advances_the_slot(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    subscription = await subscribed(subscriptions)

    delivery = await claim(deliveries, subscription, planning("flask"))

    assert delivery is not None
    assert (delivery.slot, delivery.topic, delivery.round) == (SLOT, "flask", 1)
    assert (delivery.state, delivery.scheduled, delivery.retry_at) == (State.PENDING, True, SLOT)
    after = await stored(subscriptions)
    assert after.last_slot == subscription.next_slot
    assert after.next_slot == slot_in(subscription.weekly, subscription.next_slot.week + WEEK)
    assert await deliveries.get(delivery.id) == delivery


async def test_a_delivery_id_fits_into_a_nonce(subscriptions: Subscriptions, deliveries: Deliveries) -> None:
    delivery = await claimed(deliveries, subscriptions)

    assert len(delivery.id) <= 24  # leaves room for one more letter, for the thread's question


async def test_a_slot_is_claimed_once(subscriptions: Subscriptions, deliveries: Deliveries) -> None:
    subscription = await subscribed(subscriptions)

    assert await claim(deliveries, subscription, planning()) is not None
    assert await claim(deliveries, subscription, planning("django")) is None

    assert [each.topic for each in await deliveries.claim(SLOT, LEASE, 10)] == ["flask"]


async def test_exactly_one_of_several_concurrent_claims_gets_the_slot(
    url: str, subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    subscription = await subscribed(subscriptions)
    other = Database(url)
    both = [deliveries, Deliveries(other)]

    claims = await asyncio.gather(
        *(claim(both[number % 2], subscription, planning()) for number in range(8)),
    )
    await other.close()

    assert len([claim for claim in claims if claim]) == 1
    assert len(await deliveries.claim(SLOT, LEASE, 100)) == 1
    assert (await stored(subscriptions)).next_slot.instant == SLOT + WEEK


async def test_each_delivery_of_a_batch_has_its_own_plan(subscriptions: Subscriptions, deliveries: Deliveries) -> None:
    due = [await subscribed(subscriptions, CHANNEL + number) for number in range(3)]
    await deliveries.claim_manual(due[1], planning("numpy", state=State.SKIPPED), MONDAY, LEASE)

    def plan(subscription: Subscription, used: set[str]) -> Plan:
        return Plan(f"{subscription.channel_id - CHANNEL}-{len(used)}", subscription.round)

    made = await deliveries.claim_due(due, plan, SLOT)

    assert [(each.subscription.channel_id, each.topic) for each in made] == [
        (CHANNEL, "0-0"),
        (CHANNEL + 1, "1-1"),
        (CHANNEL + 2, "2-0"),
    ]
    assert [await again(deliveries, each) for each in made] == made
    for number in range(3):
        assert (await stored(subscriptions, CHANNEL + number)).next_slot.instant == SLOT + WEEK


async def test_a_batch_leaves_out_subscriptions_that_were_edited_first(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    due = [await subscribed(subscriptions, CHANNEL + number) for number in range(4)]
    await subscriptions.change(CHANNEL, subscription_rules.pause)
    await subscriptions.change(CHANNEL + 1, subscription_rules.unsubscribe)
    await claim(deliveries, due[2], planning())

    made = await deliveries.claim_due(due, planning(), SLOT)

    assert [each.subscription.channel_id for each in made] == [CHANNEL + 3]


async def test_a_batch_with_a_failure_is_not_claimed_at_all(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    due = [await subscribed(subscriptions, CHANNEL + number) for number in range(3)]

    def plan(subscription: Subscription, used: set[str]) -> Plan:
        return Plan(None if subscription.channel_id == CHANNEL + 1 else "flask", 1)  # type: ignore[arg-type]

    with pytest.raises(IntegrityError):
        await deliveries.claim_due(due, plan, SLOT)

    assert await deliveries.claim(SLOT, LEASE, 10) == []
    assert [await stored(subscriptions, each.channel_id) for each in due] == due


async def test_an_empty_batch_creates_no_delivery(deliveries: Deliveries) -> None:
    assert await deliveries.claim_due([], planning(), SLOT) == []


async def test_a_failed_claim_is_rolled_back(subscriptions: Subscriptions, deliveries: Deliveries) -> None:
    subscription = await subscribed(subscriptions)

    def fail(subscription: Subscription, used: set[str]) -> Plan:
        raise LookupError

    def unstorable(subscription: Subscription, used: set[str]) -> Plan:
        return Plan(None, subscription.round)  # type: ignore[arg-type]

    with pytest.raises(LookupError):
        await claim(deliveries, subscription, fail)
    with pytest.raises(IntegrityError):
        await claim(deliveries, subscription, unstorable)

    assert await stored(subscriptions) == subscription
    assert await deliveries.claim(SLOT, LEASE, 10) == []


@pytest.mark.parametrize(
    "edit", [subscription_rules.pause, subscription_rules.unsubscribe], ids=["pause", "unsubscribe"]
)
async def test_an_edit_before_the_claim_wins(
    subscriptions: Subscriptions, deliveries: Deliveries, edit: Callable[[Subscription], Subscription]
) -> None:
    due = await subscribed(subscriptions)
    await subscriptions.change(CHANNEL, edit)

    assert await claim(deliveries, due, planning()) is None


async def test_a_claim_uses_the_current_subscription(subscriptions: Subscriptions, deliveries: Deliveries) -> None:
    due = await subscribed(subscriptions)
    await subscriptions.change(CHANNEL, lambda current: subscription_rules.choose(current, "dash"))

    def plan(subscription: Subscription, used: set[str]) -> Plan:
        return Plan(subscription.chosen_topic or "none", subscription.round, chosen=True)

    delivery = await claim(deliveries, due, plan)

    assert delivery is not None
    assert delivery.topic == "dash"


async def test_a_claim_sees_only_the_topics_of_its_own_round_and_channel(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    subscription = await subscribed(subscriptions)
    other = await subscribed(subscriptions, OTHER_CHANNEL)
    await deliveries.claim_manual(other, planning("numpy"), MONDAY, LEASE)
    await deliveries.claim_manual(subscription, planning("flask", state=State.SKIPPED), MONDAY, LEASE)
    assert await deliveries.used_topics(subscription) == {"flask"}

    def second_round(subscription: Subscription, used: set[str]) -> Plan:
        assert used == {"flask"}
        return Plan("django", subscription.round + 1)

    delivery = await claim(deliveries, subscription, second_round)

    assert delivery is not None
    assert delivery.subscription.round == 2
    assert await deliveries.used_topics(await stored(subscriptions)) == {"django"}


async def test_a_manual_post_does_not_use_the_slot(subscriptions: Subscriptions, deliveries: Deliveries) -> None:
    subscription = await subscribed(subscriptions)

    delivery = await deliveries.claim_manual(subscription, planning(), MONDAY, LEASE)

    assert delivery is not None
    assert (delivery.slot, delivery.scheduled) == (MONDAY, False)
    assert await stored(subscriptions) == subscription


async def test_there_is_no_second_manual_post_while_one_is_pending(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    subscription = await subscribed(subscriptions)
    moments = [MONDAY + timedelta(seconds=second) for second in range(8)]

    claims = await asyncio.gather(
        *(deliveries.claim_manual(subscription, planning(), moment, LEASE) for moment in moments)
    )

    assert len([claim for claim in claims if claim]) == 1


async def test_a_missed_slot_is_not_attempted_and_does_not_use_its_topic(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    subscription = await subscribed(subscriptions)

    delivery = await claim(deliveries, subscription, planning(state=State.MISSED))

    assert delivery is not None
    assert delivery.state is State.MISSED
    assert await deliveries.claim(SLOT, LEASE, 10) == []
    assert await deliveries.used_topics(subscription) == set()


# A chosen topic


async def subscribe_with_choice(subscriptions: Subscriptions, topic: str = "flask") -> Subscription:
    await subscribed(subscriptions)
    chosen = await subscriptions.change(CHANNEL, lambda current: subscription_rules.choose(current, topic))
    assert chosen is not None
    return chosen.after


@pytest.mark.parametrize("state", [State.PENDING, State.SKIPPED])
async def test_a_claim_clears_the_chosen_topic(
    subscriptions: Subscriptions, deliveries: Deliveries, state: State
) -> None:
    chosen = await subscribe_with_choice(subscriptions)

    await deliveries.claim_manual(chosen, planning(chosen=True, state=state), MONDAY, LEASE)

    assert (await stored(subscriptions)).chosen_topic is None


async def test_a_missed_slot_keeps_the_chosen_topic(subscriptions: Subscriptions, deliveries: Deliveries) -> None:
    chosen = await subscribe_with_choice(subscriptions)

    await claim(deliveries, chosen, planning(chosen=True, state=State.MISSED))

    assert (await stored(subscriptions)).chosen_topic == "flask"


@pytest.mark.parametrize("end", [Deliveries.record_missed, Deliveries.record_blocked], ids=["missed", "blocked"])
async def test_an_unposted_chosen_topic_is_chosen_again(
    subscriptions: Subscriptions, deliveries: Deliveries, end: End
) -> None:
    chosen = await subscribe_with_choice(subscriptions)
    delivery = await claim(deliveries, chosen, planning(chosen=True))
    assert delivery is not None

    await end(deliveries, delivery, "no luck", SLOT)

    assert (await stored(subscriptions)).chosen_topic == "flask"


@pytest.mark.parametrize("end", [Deliveries.record_missed, Deliveries.record_blocked], ids=["missed", "blocked"])
async def test_a_topic_chosen_in_the_meantime_is_kept(
    subscriptions: Subscriptions, deliveries: Deliveries, end: End
) -> None:
    chosen = await subscribe_with_choice(subscriptions)
    delivery = await claim(deliveries, chosen, planning(chosen=True))
    assert delivery is not None
    await subscriptions.change(CHANNEL, lambda current: subscription_rules.choose(current, "dash"))

    await end(deliveries, delivery, "no luck", SLOT)

    assert (await stored(subscriptions)).chosen_topic == "dash"


@pytest.mark.parametrize(
    "end",
    [Deliveries.record_missed, Deliveries.record_blocked, Deliveries.record_unverified],
    ids=["missed", "blocked", "unverified"],
)
async def test_a_failure_does_not_choose_a_topic(
    subscriptions: Subscriptions, deliveries: Deliveries, end: End
) -> None:
    await end(deliveries, await claimed(deliveries, subscriptions), "no luck", SLOT)

    assert (await stored(subscriptions)).chosen_topic is None


async def test_an_unverified_chosen_topic_is_not_chosen_again(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await deliveries.record_unverified(await claimed(deliveries, subscriptions, chosen=True), "nobody can tell", SLOT)

    assert (await stored(subscriptions)).chosen_topic is None


# Attempts


async def test_an_attempt_is_recorded_before_it_is_made(subscriptions: Subscriptions, deliveries: Deliveries) -> None:
    delivery = await claimed(deliveries, subscriptions)

    held = await taken(deliveries)

    recorded = await again(deliveries, delivery)
    assert (recorded.attempts, recorded.first_attempt_at, recorded.retry_at) == (1, SLOT, SLOT + LEASE)
    assert held == replace(recorded, first_attempt_at=None)


async def test_a_claimed_delivery_can_be_claimed_again_after_its_lease(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claimed(deliveries, subscriptions)
    await taken(deliveries)

    assert await deliveries.claim(SLOT + LEASE - timedelta(microseconds=1), LEASE, 10) == []
    assert (await taken(deliveries, SLOT + LEASE)).attempts == 2


async def test_a_manual_post_is_claimed_for_its_first_attempt(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    held = await deliveries.claim_manual(await subscribed(subscriptions), planning(), MONDAY, LEASE)

    assert held is not None
    assert (held.attempts, held.first_attempt_at, held.retry_at) == (1, None, MONDAY + LEASE)
    assert await again(deliveries, held) == replace(held, first_attempt_at=MONDAY)
    assert await deliveries.claim(MONDAY, LEASE, 10) == []


async def test_exactly_one_of_several_concurrent_claims_gets_a_delivery(
    url: str, subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    delivery = await claimed(deliveries, subscriptions)
    other = Database(url)
    both = [deliveries, Deliveries(other)]

    results = await asyncio.gather(*(both[number % 2].claim(SLOT, LEASE, 10) for number in range(8)))
    await other.close()

    assert [each.id for result in results for each in result] == [delivery.id]
    assert (await again(deliveries, delivery)).attempts == 1


async def test_a_restarted_attempt_counts_from_its_restart(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claimed(deliveries, subscriptions)
    held = await taken(deliveries)
    later = SLOT + timedelta(minutes=5)

    assert await deliveries.restart(held, later, LEASE)

    recorded = await again(deliveries, held)
    assert (recorded.attempts, recorded.first_attempt_at, recorded.retry_at) == (1, later, later + LEASE)


async def test_an_attempt_that_lost_its_lease_cannot_be_restarted(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claimed(deliveries, subscriptions)
    older = await taken(deliveries)
    newer = await taken(deliveries, SLOT + LEASE)

    assert not await deliveries.restart(older, SLOT + LEASE, LEASE)
    assert (await again(deliveries, newer)).first_attempt_at == SLOT
    assert await deliveries.restart(newer, SLOT + LEASE, LEASE)


@pytest.mark.parametrize(
    "end",
    [Deliveries.record_missed, Deliveries.record_blocked, Deliveries.record_unverified],
    ids=["missed", "blocked", "unverified"],
)
async def test_a_finished_delivery_is_not_attempted_again(
    subscriptions: Subscriptions, deliveries: Deliveries, end: End
) -> None:
    await claimed(deliveries, subscriptions)
    held = await taken(deliveries)
    await end(deliveries, held, "over", SLOT)

    assert not await deliveries.restart(held, SLOT, LEASE)
    assert await deliveries.claim(SLOT + WEEK, LEASE, 10) == []


@pytest.mark.parametrize(("outcome_known", "first"), [(True, None), (False, SLOT)])
async def test_a_retry_keeps_the_first_attempt_only_while_its_outcome_is_unknown(
    subscriptions: Subscriptions, deliveries: Deliveries, outcome_known: bool, first: datetime | None
) -> None:
    await claimed(deliveries, subscriptions)
    held = await taken(deliveries)
    at = SLOT + timedelta(minutes=5)

    await deliveries.record_failed(held, at, "the connection was cut", SLOT, outcome_known=outcome_known)

    recorded = await again(deliveries, held)
    assert (recorded.state, recorded.retry_at, recorded.reason) == (State.PENDING, at, "the connection was cut")
    assert (recorded.attempts, recorded.first_attempt_at) == (1, first)
    assert await deliveries.claim(at - timedelta(seconds=1), LEASE, 10) == []
    assert (await taken(deliveries, at)).first_attempt_at == first


async def test_a_later_attempt_keeps_the_time_of_the_first(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claimed(deliveries, subscriptions)
    await taken(deliveries)

    second = await taken(deliveries, SLOT + LEASE)

    assert (second.attempts, second.first_attempt_at) == (2, SLOT)
    assert (await again(deliveries, second)).first_attempt_at == SLOT


async def test_a_late_outcome_does_not_overwrite_a_sent_post(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await claimed(deliveries, subscriptions)
    slow, quick = await taken(deliveries), await taken(deliveries, SLOT + LEASE)
    await deliveries.record_sent(quick, 1, 2, [], SLOT)

    await deliveries.record_failed(slow, SLOT, "Discord cannot be reached", SLOT, outcome_known=True)
    await deliveries.record_missed(slow, "too late", SLOT)

    assert (await again(deliveries, quick)).state is State.SENT
    assert await deliveries.claim(SLOT + WEEK, LEASE, 10) == []


async def test_deliveries_are_claimed_oldest_first_up_to_the_limit(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    minutes = [3, 1, 2]
    for number, minute in enumerate(minutes):
        subscription = await subscribed(subscriptions, CHANNEL + number)
        await claim(deliveries, subscription, planning(f"topic-{minute}"), SLOT + timedelta(minutes=minute))

    first = await deliveries.claim(SLOT + timedelta(minutes=3), LEASE, 2)
    then = await deliveries.claim(SLOT + timedelta(minutes=3), LEASE, 2)

    assert [delivery.topic for delivery in first] == ["topic-1", "topic-2"]
    assert [delivery.topic for delivery in then] == ["topic-3"]


async def test_the_next_retry_is_the_earliest_pending_one(subscriptions: Subscriptions, deliveries: Deliveries) -> None:
    assert await deliveries.next_at() is None
    early = await claimed(deliveries, subscriptions)
    late = await claim(deliveries, await subscribed(subscriptions, OTHER_CHANNEL), planning(), SLOT + LEASE)
    assert late is not None

    assert await deliveries.next_at() == SLOT
    await deliveries.record_missed(early, "over", SLOT)
    assert await deliveries.next_at() == SLOT + LEASE
    await deliveries.record_sent(late, 1, 2, [], SLOT)
    assert await deliveries.next_at() is None


async def test_a_replanned_delivery_keeps_its_slot_and_changes_its_topic(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    delivery = await claimed(deliveries, subscriptions)

    replanned = await deliveries.change_topic(delivery, planning("django"))

    assert replanned is not None
    assert (replanned.id, replanned.slot, replanned.topic) == (delivery.id, SLOT, "django")
    assert await again(deliveries, delivery) == replanned


# Outcomes


async def test_a_sent_post_is_recorded_with_its_message_and_steps(
    subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    delivery = await claimed(deliveries, subscriptions)

    await deliveries.record_sent(delivery, 10**18 + 5, 10**18 + 6, [StepName.THREAD, StepName.PIN], SLOT + LEASE)

    recorded = await again(deliveries, delivery)
    assert (recorded.state, recorded.reason, recorded.retry_at) == (State.SENT, None, None)
    assert (recorded.message_id, recorded.message_channel_id) == (10**18 + 5, 10**18 + 6)
    assert recorded.sent_at == SLOT + LEASE
    assert [step.name for step in await taken_steps(steps, SLOT + LEASE)] == [StepName.THREAD, StepName.PIN]


async def test_recording_a_message_again_adds_and_reopens_no_step(
    subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    delivery = await claimed(deliveries, subscriptions)
    await deliveries.record_sent(delivery, 1, 2, [StepName.PIN], SLOT)
    (pin,) = await taken_steps(steps)
    await steps.finish(pin)

    await deliveries.record_sent(delivery, 1, 2, [StepName.PIN], SLOT)

    assert await taken_steps(steps, SLOT + WEEK) == []


async def test_a_refusal_blocks_the_subscription_and_keeps_its_options(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    given = Choices("web", 0, time(9), "UTC", 77, True, True, True, "django")
    delivery = await claimed(deliveries, subscriptions, given=given)
    before = await stored(subscriptions)

    await deliveries.record_blocked(delivery, "the channel is gone", SLOT)

    assert await stored(subscriptions) == replace(before, blocked="the channel is gone")
    recorded = await again(deliveries, delivery)
    assert (recorded.state, recorded.reason) == (State.BLOCKED, "the channel is gone")


async def test_a_sent_post_unblocks_the_subscription(subscriptions: Subscriptions, deliveries: Deliveries) -> None:
    await deliveries.record_blocked(await claimed(deliveries, subscriptions), "the channel is gone", SLOT)
    later = await claim(deliveries, await stored(subscriptions), planning("django"), SLOT + WEEK)
    assert later is not None

    await deliveries.record_sent(later, 1, 2, [], SLOT)

    assert (await stored(subscriptions)).blocked is None


@pytest.mark.parametrize(
    ("end", "used"),
    [
        (Deliveries.record_missed, set()),
        (Deliveries.record_blocked, set()),
        (Deliveries.record_unverified, {"flask"}),
    ],
    ids=["missed", "blocked", "unverified"],
)
async def test_only_topics_that_may_have_been_posted_count_as_used(
    subscriptions: Subscriptions, deliveries: Deliveries, end: End, used: set[str]
) -> None:
    delivery = await claimed(deliveries, subscriptions)
    assert await deliveries.used_topics(delivery.subscription) == {"flask"}

    await end(deliveries, delivery, "no luck", SLOT)

    assert await deliveries.used_topics(delivery.subscription) == used


async def test_missed_and_unverified_deliveries_do_not_block(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    await deliveries.record_missed(await claimed(deliveries, subscriptions), "too late", SLOT)
    later = await claim(deliveries, await stored(subscriptions), planning(), SLOT + WEEK)
    assert later is not None
    await deliveries.record_unverified(later, "nobody can tell", SLOT)

    assert (await stored(subscriptions)).blocked is None


async def test_the_last_delivery_is_the_latest_in_one_of_the_states(
    subscriptions: Subscriptions, deliveries: Deliveries
) -> None:
    first = await claimed(deliveries, subscriptions)
    await deliveries.record_sent(first, 1, 2, [], SLOT)
    second = await claim(deliveries, await stored(subscriptions), planning("django"), SLOT + WEEK)
    other = await claim(deliveries, await subscribed(subscriptions, OTHER_CHANNEL), planning("dash"))
    assert second is not None
    assert other is not None
    ids = [first.subscription.id, other.subscription.id]

    async def last(*states: State) -> dict[int, str]:
        return {id_: delivery.topic for id_, delivery in (await deliveries.last(ids, *states)).items()}

    assert await last(*State) == {ids[0]: "django", ids[1]: "dash"}
    assert await last(State.SENT) == {ids[0]: "flask"}
    assert await last(State.MISSED) == {}
    assert list(await deliveries.last(ids[1:], *State)) == ids[1:]


# Steps


async def sent_with(deliveries: Deliveries, subscriptions: Subscriptions, *names: StepName) -> Delivery:
    delivery = await claimed(deliveries, subscriptions)
    await deliveries.record_sent(delivery, 1001, CHANNEL, names, SLOT)
    return await again(deliveries, delivery)


def test_each_option_requests_its_step() -> None:
    assert requested_steps(Options("web")) == []
    assert requested_steps(Options("web", thread=True)) == [StepName.THREAD]
    assert requested_steps(Options("web", pin=True)) == [StepName.PIN]
    assert requested_steps(Options("web", publish=True)) == [StepName.PUBLISH]


async def test_the_steps_of_a_delivery_are_claimed_together_in_order(
    subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    delivery = await sent_with(deliveries, subscriptions, *sorted(StepName))

    assert await steps.claim(SLOT, LEASE, 10) == [
        Step(delivery, name, 1) for name in (StepName.PUBLISH, StepName.THREAD, StepName.PIN)
    ]


async def test_a_claimed_step_is_leased(subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps) -> None:
    await sent_with(deliveries, subscriptions, StepName.PIN)

    (first,) = await taken_steps(steps)
    assert await taken_steps(steps, SLOT + LEASE - timedelta(seconds=1)) == []
    (second,) = await taken_steps(steps, SLOT + LEASE)

    assert (first.attempts, second.attempts) == (1, 2)


async def test_exactly_one_of_several_concurrent_claims_gets_a_step(
    url: str, subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    await sent_with(deliveries, subscriptions, StepName.PIN)
    other = Database(url)
    both = [steps, Steps(other)]

    results = await asyncio.gather(*(taken_steps(both[number % 2]) for number in range(8)))
    await other.close()

    assert [step.name for result in results for step in result] == [StepName.PIN]


async def test_a_finished_step_is_not_claimed_again(
    subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    await sent_with(deliveries, subscriptions, StepName.PUBLISH, StepName.THREAD, StepName.PIN)
    publish, thread, pin = await taken_steps(steps)

    await steps.finish(publish)
    await steps.finish(pin)

    assert [step.name for step in await taken_steps(steps, SLOT + WEEK)] == [thread.name]


async def two_sent(deliveries: Deliveries, subscriptions: Subscriptions) -> tuple[Delivery, Delivery]:
    """Record two posts in one channel, both with a pin step."""
    first = await sent_with(deliveries, subscriptions, StepName.PIN)
    second = await claim(deliveries, await stored(subscriptions), planning("django"), SLOT + WEEK)
    assert second is not None
    await deliveries.record_sent(second, 1002, CHANNEL, [StepName.PIN], SLOT + WEEK)
    return first, second


async def test_the_steps_of_a_channels_deliveries_are_claimed_one_delivery_at_a_time(
    subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    first, second = await two_sent(deliveries, subscriptions)

    (one,) = await taken_steps(steps, SLOT + WEEK)
    await steps.finish(one)
    (other,) = await taken_steps(steps, SLOT + WEEK)

    assert [one.delivery.id, other.delivery.id] == [first.id, second.id]


async def test_steps_of_excluded_subscriptions_are_not_claimed(
    subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    first, _ = await two_sent(deliveries, subscriptions)
    elsewhere = await claim(deliveries, await subscribed(subscriptions, OTHER_CHANNEL), planning())
    assert elsewhere is not None
    await deliveries.record_sent(elsewhere, 1003, OTHER_CHANNEL, [StepName.PIN], SLOT)

    claimed_steps = await steps.claim(SLOT + WEEK, LEASE, 10, excluding({first.subscription.id}))

    assert [step.delivery.id for step in claimed_steps] == [elsewhere.id]


async def test_the_steps_of_a_single_delivery_can_be_claimed(
    subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    _, second = await two_sent(deliveries, subscriptions)

    (step,) = await steps.claim(SLOT + WEEK, LEASE, 10, for_delivery(second.id))

    assert step.delivery.id == second.id


async def test_steps_are_claimed_up_to_the_limit(
    subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    for number in range(3):
        delivery = await claim(deliveries, await subscribed(subscriptions, CHANNEL + number), planning())
        assert delivery is not None
        await deliveries.record_sent(delivery, 1001 + number, CHANNEL + number, [StepName.PIN], SLOT)

    assert [len(await steps.claim(SLOT, LEASE, 2)) for _ in range(3)] == [2, 1, 0]


async def test_a_step_is_retried_when_it_is_due(
    subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    await sent_with(deliveries, subscriptions, StepName.PIN)
    assert await steps.next_at() == SLOT
    (pin,) = await taken_steps(steps)
    at = SLOT + timedelta(minutes=5)

    await steps.retry(pin, at, reason="Discord is having problems")

    assert await steps.next_at() == at
    assert await taken_steps(steps, at - timedelta(seconds=1)) == []
    (later,) = await taken_steps(steps, at)
    assert (later.name, later.attempts) == (StepName.PIN, 2)
    await steps.finish(later)
    assert await steps.next_at() is None


async def test_a_failed_step_has_a_reason_until_it_succeeds(
    subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps
) -> None:
    await sent_with(deliveries, subscriptions, StepName.PIN, StepName.PUBLISH)
    publish, pin = await taken_steps(steps)
    ids = [pin.delivery.id]
    assert await steps.failures(ids) == {}

    await steps.finish(pin, reason="weekbot may not pin")
    await steps.retry(publish, SLOT, reason="Discord is having problems")
    assert {reason for reasons in (await steps.failures(ids)).values() for reason in reasons} == {
        "weekbot may not pin",
        "Discord is having problems",
    }

    await steps.finish(publish)
    assert await steps.failures(ids) == {ids[0]: ["weekbot may not pin"]}
    assert await steps.failures(["another"]) == {}


async def test_the_pinned_message_is_stored(subscriptions: Subscriptions, deliveries: Deliveries, steps: Steps) -> None:
    await sent_with(deliveries, subscriptions, StepName.PIN)
    (pin,) = await taken_steps(steps)

    await steps.record_pin(pin)

    assert (await stored(subscriptions)).pinned_message_id == 1001


# Metadata


async def test_a_metadata_entry_is_stored_and_replaced(database: Database) -> None:
    entries = Metadata(database)
    assert await entries.get("commands") is None

    await entries.put("commands", "a")
    await entries.put("commands", "b")
    await entries.put("other", "c")

    assert await entries.get("commands") == "b"
    assert await entries.get("other") == "c"


# Instants


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Asia/Kathmandu"), timezone(timedelta(hours=-9, minutes=-30))], ids=str)
async def test_instants_are_returned_in_utc(
    subscriptions: Subscriptions, deliveries: Deliveries, zone: ZoneInfo | timezone
) -> None:
    subscription = await subscribed(subscriptions)
    moment = (SLOT + timedelta(microseconds=123456)).astimezone(zone)

    delivery = await deliveries.claim_manual(subscription, planning(), moment, LEASE)

    assert delivery is not None
    slot = (await again(deliveries, delivery)).slot
    assert slot == moment
    assert slot.tzinfo is UTC
    next_retry = await deliveries.next_at()
    assert next_retry == moment + LEASE
    assert next_retry.tzinfo is UTC


# The database


async def test_data_survives_closing_and_reopening(url: str, database: Database) -> None:
    subscriptions, deliveries = Subscriptions(database), Deliveries(database)
    delivery = await claimed(deliveries, subscriptions)
    await deliveries.record_sent(delivery, 1001, CHANNEL, [StepName.PIN], SLOT)
    await Metadata(database).put("commands", "a")
    before = await stored(subscriptions), await again(deliveries, delivery)
    await database.close()

    reopened = Database(url)
    await reopened.upgrade()
    subscriptions, deliveries, steps = Subscriptions(reopened), Deliveries(reopened), Steps(reopened)
    after = await stored(subscriptions), await again(deliveries, delivery)
    open_steps = [step.name for step in await taken_steps(steps)]
    entry = await Metadata(reopened).get("commands")
    await reopened.close()

    assert after == before
    assert open_steps == [StepName.PIN]
    assert entry == "a"


async def test_the_migrations_create_the_schema_of_the_tables(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


def test_the_latest_revision_is_known_without_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == LATEST


async def test_migrating_again_is_harmless(database: Database) -> None:
    subscription = await subscribed(Subscriptions(database))

    await database.upgrade()

    assert await stored(Subscriptions(database)) == subscription


async def test_concurrent_migrations_of_a_new_database_succeed(url: str) -> None:
    databases = [Database(url) for _ in range(3)]

    await asyncio.gather(*(database.upgrade() for database in databases))

    await subscribed(Subscriptions(databases[0]))
    assert await Subscriptions(databases[2]).of_channel(CHANNEL) is not None
    await asyncio.gather(*(database.close() for database in databases))


async def test_a_database_of_a_newer_version_is_refused_unchanged(database: Database) -> None:
    subscription = await subscribed(Subscriptions(database))
    async with database.write() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DatabaseUnusableError, match=r"newer weekbot \(revision 9999\); update weekbot"):
        await database.upgrade()

    assert await stored(Subscriptions(database)) == subscription


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://localhost/weekbot", r"weekbot keeps its data in SQLite or PostgreSQL; set WEEKBOT_DATABASE_URL to"),
        ("weekbot.db", r"WEEKBOT_DATABASE_URL isn't a database URL; set WEEKBOT_DATABASE_URL to sqlite:///weekbot\.db"),
        ("", r"WEEKBOT_DATABASE_URL isn't a database URL; set WEEKBOT_DATABASE_URL to sqlite:///weekbot\.db"),
    ],
)
def test_an_unsupported_database_url_is_a_one_sentence_error(url: str, sentence: str) -> None:
    with pytest.raises(DatabaseUnusableError, match=sentence):
        Database(url)


# SQLite only


async def refusal(file: Path) -> str:
    database = Database(f"sqlite:///{file}")
    with pytest.raises(DatabaseUnusableError) as refused:
        await database.upgrade()
    await database.close()
    return str(refused.value)


async def test_a_file_that_is_not_a_database_is_refused_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("buy milk\n" * 1000)

    sentence = await refusal(file)

    assert sentence == f"The database {file} cannot be used: file is not a database. Check WEEKBOT_DATABASE_URL."
    assert file.read_text() == "buy milk\n" * 1000


def test_a_missing_folder_is_a_one_sentence_error_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "missing" / "weekbot.db"
    tracebacks: list[object] = []
    monkeypatch.setattr(threading, "excepthook", tracebacks.append)
    before = set(threading.enumerate())

    # Often enough to detect a thread that is still running.
    sentences = {asyncio.run(refusal(file)) for _ in range(60)}
    for thread in set(threading.enumerate()) - before:
        thread.join()

    assert sentences == {
        f"The database {file} cannot be used: unable to open database file. Check WEEKBOT_DATABASE_URL."
    }
    assert tracebacks == []


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2)], ids=str
)
async def test_every_connection_sets_its_pragmas(tmp_path: Path, pragma: str, value: str | int) -> None:
    database = Database(f"sqlite:///{tmp_path / 'weekbot.db'}")
    await database.upgrade()
    async with database.read() as first, database.read() as second:
        for connection in (first, second):
            assert (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar() == value
    await database.close()


async def test_a_dangling_foreign_key_is_refused(database: Database) -> None:
    row = {"delivery_id": "none", "name": "pin", "done": False, "attempts": 0, "retry_at": SLOT}
    with pytest.raises(IntegrityError, match=r"FOREIGN KEY|foreign key"):
        async with database.write() as connection:
            await connection.execute(insert(steps_table).values(row))


async def test_a_writer_does_not_block_a_reader(database: Database) -> None:
    entries = Metadata(database)
    await entries.put("commands", "before")

    async with database.write() as connection:
        await connection.exec_driver_sql("UPDATE facts SET value = 'after'")
        assert await entries.get("commands") == "before"

    assert await entries.get("commands") == "after"


async def test_sqlite_stores_instants_in_utc_without_an_offset(tmp_path: Path) -> None:
    file = tmp_path / "weekbot.db"
    database = Database(f"sqlite:///{file}")
    await database.upgrade()
    await subscribed(Subscriptions(database), given=Choices(timezone="America/New_York"))
    await database.close()

    with sqlite3.connect(file) as plain:
        assert plain.execute("SELECT next_slot FROM subscriptions").fetchone() == ("2026-11-23 14:00:00.000000",)
    plain.close()


# Two processes


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
async def test_concurrent_claims_of_due_slots_neither_wait_nor_overlap(
    deliveries: Deliveries, subscriptions: Subscriptions, url: str
) -> None:
    due = [await subscribed(subscriptions, CHANNEL + number) for number in range(10)]
    other = Database(url)
    async with other.write() as connection, asyncio.timeout(5):
        theirs = await by_ids(connection, {each.id for each in due[:4]}, **CLAIMING)
        mine = await deliveries.claim_due(due, planning(), SLOT)
    assert {each.subscription.id for each in mine} == {each.id for each in due} - set(theirs)
    await other.close()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
async def test_concurrent_claims_of_deliveries_neither_wait_nor_overlap(
    deliveries: Deliveries, subscriptions: Subscriptions, url: str
) -> None:
    await deliveries.claim_due(
        [await subscribed(subscriptions, CHANNEL + number) for number in range(10)], planning(), SLOT
    )
    other = Database(url)
    async with other.write() as connection, asyncio.timeout(5):
        held = select(deliveries_table.c.id).limit(4).with_for_update(**CLAIMING)
        theirs = set(await connection.scalars(held))
        mine = await deliveries.claim(SLOT, LEASE, 10)
    assert len(theirs) == 4
    assert len(mine) == 6
    assert theirs.isdisjoint(each.id for each in mine)
    await other.close()


async def test_concurrent_edits_wait_for_each_other(subscriptions: Subscriptions, url: str) -> None:
    await subscribed(subscriptions)
    other = Database(url)
    edits = [
        each.change(CHANNEL, lambda current: replace(current, round=current.round + 1))
        for each in (subscriptions, Subscriptions(other), Subscriptions(other))
        for _ in range(5)
    ]
    await asyncio.gather(*edits)
    assert (await stored(subscriptions)).round == 16
    await other.close()
