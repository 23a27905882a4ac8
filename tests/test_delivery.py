"""From a due slot to a post, whatever happens on the way: the dispatcher over a real database and a small Discord."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import MONDAY, FakeClock, FakeSender, Process

from weekbot import edits
from weekbot.content.library import Library
from weekbot.content.model import Topic, Track
from weekbot.delivery.outcomes import HistoryUnreadableError, NotSentError, OutcomeUnknownError, RefusedError
from weekbot.delivery.ports import Sent
from weekbot.edits import Given
from weekbot.store.deliveries import Delivery, State
from weekbot.store.steps import StepName
from weekbot.store.subscriptions import Subscription

GUILD, CHANNEL, OTHER = 1, 11, 12
SLOT = MONDAY + timedelta(hours=1)
SLUGS = ("flask", "django", "dash", "numpy")

CUT = OutcomeUnknownError("the connection was cut")
DOWN = NotSentError("Discord cannot be reached")
REFUSED = RefusedError("weekbot cannot see the channel")
UNREADABLE = HistoryUnreadableError("Read Message History is missing")


@dataclass
class Shelf:
    """The library that is being served; `put` reloads it."""

    whole: Library
    current: Library = field(init=False)

    def __post_init__(self) -> None:
        self.put(*SLUGS)

    def put(self, *slugs: str) -> None:
        track = Track(slug="everything", title="Everything", summary="All of it.", topics=slugs)
        self.current = Library([self.whole.topics[slug] for slug in slugs], [track])


@dataclass
class MortalSender(FakeSender):
    """weekbot dies at the sends numbered here, from 1: before or after the post stands in the channel."""

    dies_before: set[int] = field(default_factory=set)
    dies_after: set[int] = field(default_factory=set)

    async def send(self, delivery: Delivery, topic: Topic) -> Sent:
        if self.sends + 1 in self.dies_before:
            self.sends += 1
            raise asyncio.CancelledError
        sent = await super().send(delivery, topic)
        if self.sends in self.dies_after:
            raise asyncio.CancelledError
        return sent


@dataclass
class Bot:
    """weekbot, its channel's moderator, and what the channel shows."""

    process: Process
    clock: FakeClock
    sender: MortalSender
    shelf: Shelf

    async def subscribe(self, channel_id: int = CHANNEL, **given: Any) -> Subscription:
        def build(current: Subscription | None, guild_timezone: str) -> Subscription:
            return edits.subscribe(current, GUILD, channel_id, guild_timezone, Given(**given), self.clock.now())

        return await self.process.subscriptions.put(GUILD, channel_id, build)

    async def change(self, change: Callable[[Subscription], Subscription]) -> None:
        assert await self.process.subscriptions.change(CHANNEL, change)

    async def choose(self, topic: str) -> None:
        await self.change(lambda current: edits.choose(current, topic))

    async def subscription(self) -> Subscription:
        found = await self.process.subscriptions.of_channel(CHANNEL)
        assert found is not None
        return found

    async def last(self) -> Delivery:
        subscription = await self.subscription()
        return (await self.process.deliveries.last([subscription.id], *State))[subscription.id]

    async def tick(self, at: datetime | None = None, **after: float) -> None:
        """Run once at that instant, or that much later."""
        self.clock.instant = (at or self.clock.instant) + timedelta(**after)
        await self.process.dispatcher.run()

    async def ticks(self, until: datetime) -> None:
        """Run each minute until then."""
        while self.clock.now() < until:
            await self.tick(minutes=1)

    async def weeks(self, count: int) -> None:
        """Run at each of the coming weeks' slots."""
        for _ in range(count):
            await self.tick((await self.subscription()).next_slot.instant)

    async def tick_and_die(self, at: datetime) -> None:
        """Run at that instant, die within, and start again."""
        with pytest.raises(asyncio.CancelledError):
            await self.tick(at)
        await self.process.restart()

    async def post_now(self) -> Delivery | None:
        return await self.process.dispatcher.post_now(await self.subscription())

    async def skip(self) -> Delivery | None:
        return await self.process.dispatcher.skip(await self.subscription())

    def topics(self, channel_id: int = CHANNEL) -> list[str]:
        return self.sender.topics(channel_id)


@pytest.fixture
async def bot(library: Library, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Bot]:
    sender, shelf = MortalSender(), Shelf(library)
    process = Process(tmp_path / "weekbot.db", lambda: shelf.current, sender, clock)
    await process.database.upgrade()
    yield Bot(process, clock, sender, shelf)
    await process.close()


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


async def test_what_was_posted_is_not_posted_again_after_a_restart(bot: Bot) -> None:
    await bot.subscribe()
    await bot.tick(SLOT)

    await bot.process.restart()
    await bot.tick()
    await bot.ticks(SLOT + timedelta(minutes=10))

    assert bot.topics() == ["flask"]


async def test_every_week_brings_the_next_topic(bot: Bot) -> None:
    await bot.subscribe()

    await bot.weeks(4)

    assert bot.topics() == list(SLUGS)


async def test_more_channels_than_fit_one_batch_are_all_served_at_once(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weekbot.delivery.dispatch.BATCH", 5)
    for channel_id in range(100, 123):
        await bot.subscribe(channel_id, pin=True)

    await bot.tick(SLOT)

    assert sorted(channel_id for _, channel_id, _ in bot.sender.posts) == list(range(100, 123))
    assert len(bot.sender.steps) == 23


async def test_a_slot_within_the_minute_is_not_left_to_the_next_tick(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN]

    await bot.tick(SLOT)

    assert bot.topics() == ["flask"]
    assert bot.clock.now() - SLOT < timedelta(minutes=1)


# Late


async def test_a_slot_that_passed_while_the_bot_was_down_is_posted_late_once(bot: Bot) -> None:
    await bot.subscribe()

    await bot.tick(SLOT + timedelta(hours=2))
    await bot.tick(minutes=1)

    assert bot.topics() == ["flask"]
    assert (await bot.last()).state is State.SENT


async def test_a_slot_that_passed_too_long_ago_is_missed_and_its_topic_stays_next(bot: Bot) -> None:
    await bot.subscribe()

    await bot.tick(SLOT + timedelta(hours=30))
    missed = await bot.last()
    await bot.weeks(1)

    assert (missed.state, missed.slot, missed.reason) == (State.MISSED, SLOT, "weekbot was not running")
    assert bot.topics() == ["flask"]


@pytest.mark.parametrize(("late", "topics"), [(timedelta(), ["flask"]), (timedelta(seconds=1), [])])
async def test_the_catch_up_time_is_kept_to_the_second(bot: Bot, late: timedelta, topics: list[str]) -> None:
    await bot.subscribe()

    await bot.tick(SLOT + timedelta(hours=24) + late)

    assert bot.topics() == topics


async def test_weeks_that_were_missed_are_not_made_up_for(bot: Bot) -> None:
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


async def test_a_temporary_failure_is_tried_again_until_it_is_over(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN] * 8

    await bot.ticks(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
    assert bot.sender.sends == 9
    assert bot.sender.look_ups == 0


async def test_pauses_grow_to_ten_minutes(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN] * 1000

    await bot.ticks(SLOT + timedelta(hours=1))
    first_hour = bot.sender.sends
    await bot.ticks(SLOT + timedelta(hours=4))

    assert 10 < first_hour < 20
    assert 12 < bot.sender.sends - first_hour < 26


async def test_what_fails_until_the_catch_up_time_has_passed_is_missed_and_stays_next(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [DOWN] * 1000

    await bot.ticks(SLOT + timedelta(hours=25))
    bot.sender.before = []
    missed = await bot.last()
    await bot.ticks(SLOT + timedelta(hours=26))
    assert bot.topics() == []
    await bot.weeks(1)

    assert (missed.state, missed.reason) == (State.MISSED, "Discord cannot be reached")
    assert bot.topics() == ["flask"]


async def test_when_discord_says_how_long_to_wait_that_is_how_long(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [NotSentError("Discord asks to wait", timedelta(minutes=30))]

    await bot.ticks(SLOT + timedelta(minutes=29))
    assert bot.sender.sends == 1
    await bot.ticks(SLOT + timedelta(minutes=31))

    assert bot.topics() == ["flask"]


async def test_a_failure_survives_a_restart(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [NotSentError("Discord asks to wait", timedelta(minutes=5))]
    await bot.tick(SLOT)

    await bot.process.restart()
    await bot.ticks(SLOT + timedelta(minutes=6))

    assert bot.topics() == ["flask"]


# Unknown outcomes


async def test_a_cut_connection_is_tried_again_with_the_same_id_and_makes_one_post(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.after = [CUT, CUT]

    await bot.tick(SLOT)

    assert bot.topics() == ["flask"]
    assert (bot.sender.sends, bot.sender.look_ups) == (3, 0)
    assert (await bot.last()).state is State.SENT


async def test_after_two_minutes_an_unknown_outcome_is_looked_up_before_it_is_sent_again(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [CUT] * 7

    await bot.ticks(SLOT + timedelta(minutes=10))

    assert bot.topics() == ["flask"]
    assert bot.sender.look_ups == 1
    assert (await bot.last()).state is State.SENT


async def test_a_post_that_is_found_is_recorded_and_not_sent_again(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.dies_after = {1}
    await bot.tick_and_die(SLOT)
    bot.sender.forget_nonces()

    await bot.tick(minutes=5)

    assert bot.topics() == ["flask"]
    assert bot.sender.sends == 1
    last = await bot.last()
    assert (last.state, last.message_id) == (State.SENT, 1000)


async def test_a_post_that_is_not_found_is_sent(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.dies_before = {1}
    await bot.tick_and_die(SLOT)
    bot.sender.forget_nonces()

    await bot.tick(minutes=5)

    assert bot.topics() == ["flask"]
    assert bot.sender.look_ups == 1


async def test_a_crash_less_than_two_minutes_ago_is_settled_by_the_nonce(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.dies_after = {1}
    await bot.tick_and_die(SLOT)

    await bot.tick(seconds=50)

    assert bot.topics() == ["flask"]
    assert (bot.sender.sends, bot.sender.look_ups) == (2, 0)
    assert (await bot.last()).state is State.SENT


async def test_an_attempt_that_may_still_be_in_flight_is_not_made_again(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.dies_after = {1}
    await bot.tick_and_die(SLOT)
    deliveries = bot.process.deliveries

    assert await deliveries.open(SLOT + timedelta(seconds=30), 10) == []
    assert await deliveries.open(SLOT + timedelta(minutes=1), 10) != []


async def test_a_crash_between_claim_and_attempt_loses_nothing(bot: Bot) -> None:
    due = await bot.subscribe()

    def plan(subscription: Subscription, had: set[str]) -> Any:
        from weekbot.store.deliveries import Plan

        return Plan("flask", 1)

    await bot.process.deliveries.claim(due, plan, SLOT)
    await bot.process.restart()
    await bot.tick(SLOT + timedelta(hours=1))

    assert bot.topics() == ["flask"]
