"""Rounds of a short track with random edits, choices, skips and refusals: no topic is lost or repeated."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, time, timedelta
from enum import Enum, auto
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Row, select

from fakes import Bot, FakeClock, FakeSender
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.db.tables import deliveries
from weekbot.delivery.errors import PermanentError, RetryableError
from weekbot.delivery.ports import SentMessage
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import USED_STATES, Delivery, State
from weekbot.domain.subscriptions import Subscription

SLUGS = ("flask", "django", "dash")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NEVER = datetime.max.replace(tzinfo=UTC)

T = TypeVar("T")


class Mood(Enum):
    """Discord's response to a post."""

    TAKES = auto()
    REFUSES = auto()
    ASKS_TO_WAIT = auto()


ERRORS: dict[Mood, Exception] = {
    Mood.REFUSES: PermanentError("no access"),
    Mood.ASKS_TO_WAIT: RetryableError("Discord asked weekbot to wait", 5 * HOUR),
}


moods = st.sampled_from(Mood)
topics = st.sampled_from(SLUGS)


class MoodySender(FakeSender):
    mood = Mood.TAKES

    async def send(self, delivery: Delivery, topic: Topic) -> SentMessage:
        if self.mood is not Mood.TAKES:
            raise ERRORS[self.mood]
        return await super().send(delivery, topic)


class Rounds(RuleBasedStateMachine):
    """One channel, its moderators, and a Discord in changing moods."""

    whole: Library
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        file = Path(self.folder.name) / "weekbot.db"
        file.write_bytes(self.template.read_bytes())
        self.sender = MoodySender()
        self.bot = Bot(f"sqlite:///{file}", self.whole, FakeClock(), self.sender)
        self.bot.live_library.put(*SLUGS)
        self.first_round = self.subscribe().round  # the first round since the last restart of the track

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.do(self.complete_two_rounds())
        self.no_topic_is_lost_or_repeated()
        self.do(self.bot.process.close())
        self.runner.close()
        self.folder.cleanup()

    async def complete_two_rounds(self) -> None:
        """Let two rounds pass without errors."""
        self.sender.mood = Mood.TAKES
        if (await self.bot.subscription()).paused:
            await self.bot.change(lambda current: subscription_rules.resume(current, self.bot.clock.now()))
        await self.run(weeks=2 * len(SLUGS) + 1)

    async def run(self, **during: float) -> None:
        """Tick each minute for that duration, except minutes in which nothing is due."""
        until = self.bot.clock.now() + timedelta(**during)
        while (event := await self.next_event()) <= until:
            await self.bot.tick(max(event, self.bot.clock.now() + MINUTE))
        self.bot.clock.instant = max(until, self.bot.clock.now())

    async def next_event(self) -> datetime:
        retry, subscription = await self.bot.process.deliveries.next_at(), await self.bot.subscription()
        slots = [] if subscription.paused else [subscription.next_slot.instant]
        return min([*([retry] if retry else []), *slots], default=NEVER)

    # Events

    @rule(hours=st.integers(1, 12) | st.integers(24, 24 * 9))
    def let_time_pass(self, hours: int) -> None:
        self.do(self.run(hours=hours))

    @rule(on_monday=moods, then=moods, topic=st.none() | topics)
    def delay_a_sunday_post_until_mondays_slot(self, on_monday: Mood, then: Mood, topic: str | None) -> None:
        self.resume()
        self.subscribe(weekday=6, at=time(20))
        self.pass_slot_in(Mood.ASKS_TO_WAIT)
        self.subscribe(weekday=0, at=time(6))
        self.pass_slot_in(on_monday)
        if topic:
            self.choose(topic)
        self.sender.mood = then
        self.do(self.run(hours=12))

    def pass_slot_in(self, mood: Mood) -> None:
        slot = self.do(self.bot.subscription()).next_slot.instant
        self.do(self.run(seconds=max(0, (slot - self.bot.clock.now() - MINUTE).total_seconds())))
        self.sender.mood = mood
        self.do(self.run(minutes=5))

    @rule(mood=moods)
    def set_mood(self, mood: Mood) -> None:
        self.sender.mood = mood

    # Moderators' actions

    @rule(weekday=st.integers(0, 6), at=st.builds(time, st.integers(0, 23)))
    def edit(self, weekday: int, at: time) -> None:
        self.subscribe(weekday=weekday, at=at)

    @rule(topic=topics)
    def choose(self, topic: str) -> None:
        self.do(self.bot.choose(topic))

    @rule(topic=topics)
    def restart_with(self, topic: str) -> None:
        self.first_round = self.subscribe(start_topic=topic).round

    @rule()
    def skip(self) -> None:
        self.do(self.bot.skip())

    @rule()
    def post_now(self) -> None:
        self.do(self.bot.post_now())

    @rule()
    def pause(self) -> None:
        self.change(subscription_rules.pause)

    @rule()
    def resume(self) -> None:
        if self.do(self.bot.subscription()).paused:
            self.change(lambda current: subscription_rules.resume(current, self.bot.clock.now()))

    def subscribe(self, **given: Any) -> Subscription:
        return self.do(self.bot.subscribe(**given))

    def change(self, change: Callable[[Subscription], Subscription]) -> None:
        self.do(self.bot.change(change))

    # Invariants

    @invariant()
    def no_topic_is_lost_or_repeated(self) -> None:
        rows = self.do(self.ledger())
        used = [row for row in rows if row.state in USED_STATES]
        if not any(row.state == State.PENDING for row in used):
            for round_ in range(self.first_round, max((row.round for row in used), default=1)):
                assert {row.topic for row in used if row.round == round_} == set(SLUGS), "a topic was lost"
        in_order = Counter((row.round, row.topic) for row in used if not row.chosen)
        assert max(in_order.values(), default=1) == 1, "a topic was posted twice in a round"

    async def ledger(self) -> list[Row[Any]]:
        async with self.bot.process.database.read() as connection:
            return list(await connection.execute(select(deliveries)))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_no_topic_of_a_round_is_lost_or_repeated(library: Library, sqlite_template: Path) -> None:
    class RoundsOfThisLibrary(Rounds):
        whole = library
        template = sqlite_template

    # No shrinking: a failing run is readable as it is, and each shorter one would take seconds to try.
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    run_state_machine_as_test(
        RoundsOfThisLibrary,
        settings=settings(max_examples=20, stateful_step_count=20, deadline=None, derandomize=True, phases=phases),
    )
