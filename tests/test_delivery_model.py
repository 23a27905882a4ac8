"""A state machine test: months of random events, checked against the delivery guarantees."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import Enum, auto
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy import Row, select

from fakes import FakeClock, FakeSender, Process
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.content.tracks import Track
from weekbot.db.tables import deliveries
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.delivery.ports import HistoryPage, SentMessage
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.schedule import slot_in, week_of
from weekbot.domain.subscription_rules import Choices
from weekbot.domain.subscriptions import Subscription

GUILD, CHANNELS = 1, (11, 12)
SLUGS = ("flask", "django", "dash", "numpy", "scrapy", "sanic")
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe")
MINUTE, WEEK = timedelta(minutes=1), timedelta(weeks=1)
CATCH_UP = timedelta(hours=24)
NONCE_KNOWN = timedelta(minutes=2)
MAX_CLOCK_ERROR = timedelta(hours=12)

USED_STATES = {State.PENDING, State.SENT, State.SKIPPED, State.UNVERIFIED}

T = TypeVar("T")


class Fault(Enum):
    """A fault in a send."""

    NONE = auto()
    NOT_SENT = auto()
    CUT_BEFORE = auto()
    CUT_AFTER = auto()
    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()
    REFUSED = auto()
    UNEXPECTED = auto()


BEFORE: dict[Fault, Exception] = {
    Fault.NOT_SENT: RetryableError("Discord cannot be reached", timedelta(hours=3)),
    Fault.CUT_BEFORE: AmbiguousError("the connection was cut"),
    Fault.REFUSED: PermanentError("no access"),
    Fault.UNEXPECTED: ZeroDivisionError("unexpected"),
}
LOOK_UPS: list[Exception | None] = [
    None,
    RetryableError("Discord cannot be reached"),
    AmbiguousError("the connection was cut"),
    HistoryUnreadableError("Read Message History is missing"),
]

faults = st.lists(st.sampled_from(Fault), max_size=6)
ambiguous = st.sampled_from([Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CUT_BEFORE, Fault.CUT_AFTER])
any_fault = st.just(Fault.NOT_SENT) | st.sampled_from(Fault)
fault_sequences = st.tuples(ambiguous, any_fault, any_fault).map(list)
look_ups = st.lists(st.sampled_from(LOOK_UPS), max_size=3)
channels = st.sampled_from(CHANNELS)
topics = st.sampled_from(SLUGS)
zones = st.sampled_from(ZONES)
clocks = st.just(timedelta()) | st.timedeltas(-MAX_CLOCK_ERROR / 2, MAX_CLOCK_ERROR / 2)
times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 30, 59]))


@dataclass
class WrongClock(FakeClock):
    """The clock of weekbot's machine, which is `ahead` of Discord's clock, the `instant`."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return self.instant + self.ahead

    def show(self, at: datetime) -> None:
        """Advance the time until the clock shows this instant."""
        self.instant = at - self.ahead


@dataclass
class FaultySender(FakeSender):
    """A sender with injected faults, which forgets nonces after two minutes and finds only posts since an instant."""

    clock: WrongClock = field(default_factory=WrongClock)
    faults: deque[Fault] = field(default_factory=deque)
    sent_at: dict[str, datetime] = field(default_factory=dict)
    clock_at_send: dict[str, datetime] = field(default_factory=dict)

    async def send(self, delivery: Delivery, topic: Topic) -> SentMessage:
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if fault is Fault.CRASH_BEFORE:
            await self.crash.happen()
        if fault in BEFORE:
            raise BEFORE[fault]
        now = self.clock.instant
        self.forgetful = now - self.sent_at.get(delivery.id, now) >= NONCE_KNOWN
        sent = await super().send(delivery, topic)
        self.sent_at.setdefault(delivery.id, now)
        self.clock_at_send.setdefault(delivery.id, self.clock.now())
        if fault is Fault.CRASH_AFTER:
            await self.crash.happen()
        if fault is Fault.CUT_AFTER:
            raise AmbiguousError("the connection was cut")
        return sent

    async def find(self, delivery: Delivery, since: datetime, cursor: str | None) -> HistoryPage:
        found = await super().find(delivery, since, cursor)
        return found if found.posts and self.sent_at[delivery.id] >= since else HistoryPage([])


class DeliveryMachine(RuleBasedStateMachine):
    """Two channels, their moderators, the content's maintainers, and faults of all kinds."""

    full_library: Library

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.clock = WrongClock()
        self.sender = FaultySender(clock=self.clock)
        self.down_for = self.ahead_after_crash = timedelta()
        self.years = 0
        self.ledger: dict[str, Row[Any]] = {}
        self.rounds = dict.fromkeys(CHANNELS, 1)
        self.last_slots: dict[int, list[tuple[datetime, ZoneInfo]]] = defaultdict(list)
        self.put(*SLUGS)
        self.process = self.do(self.start())
        for channel_id in CHANNELS:
            self.subscribe(channel_id)

    async def start(self) -> Process:
        url = f"sqlite:///{Path(self.folder.name) / 'weekbot.db'}"
        process = Process(url, lambda: self.library, self.sender, self.clock, CATCH_UP, crash=self.sender.crash)
        await process.database.upgrade()
        return process

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.do(self.settle())
        self.do(self.process.close())
        self.runner.close()
        self.folder.cleanup()

    # Events

    @rule(days=st.integers(1, 20), faults=faults, look_ups=look_ups, down_for=st.integers(1, 1000), ahead=clocks)
    def time_passes(
        self, days: int, faults: list[Fault], look_ups: list[Exception | None], down_for: int, ahead: timedelta
    ) -> None:
        self.sender.faults.extend(faults)
        self.sender.finding.extend(look_ups)
        self.down_for, self.ahead_after_crash = timedelta(seconds=down_for), ahead
        self.do(self.run_until(self.clock.now() + timedelta(days=days)))

    @rule(faults=fault_sequences, look_ups=look_ups, down_for=st.integers(1, 10_000), ahead=clocks)
    def the_next_post_meets_faults(
        self, faults: list[Fault], look_ups: list[Exception | None], down_for: int, ahead: timedelta
    ) -> None:
        self.sender.faults.extendleft(reversed(faults))
        self.sender.finding.extend(look_ups)
        self.down_for, self.ahead_after_crash = timedelta(seconds=down_for), ahead
        self.do(self.run_until(self.clock.now() + WEEK))

    @precondition(lambda self: not self.years)
    @rule(weeks=st.integers(40, 60))
    def a_year_passes(self, weeks: int) -> None:
        self.years += 1
        self.do(self.run_until(self.clock.now() + weeks * WEEK))

    @rule(hours=st.integers(1, 24 * 24), ahead=clocks)
    def weekbot_is_down(self, hours: int, ahead: timedelta) -> None:
        self.clock.move(hours=hours)
        self.do(self.set_clock(ahead))
        self.do(self.restart_and_tick())

    @rule(ahead=clocks)
    def the_clock_is_set(self, ahead: timedelta) -> None:
        self.do(self.set_clock(ahead))
        self.do(self.tick())

    @rule(channel_id=channels)
    def a_channel_starts_to_refuse_posts(self, channel_id: int) -> None:
        self.sender.closed.add(channel_id)

    @rule(channel_id=channels)
    def a_channel_accepts_posts_again(self, channel_id: int) -> None:
        self.sender.closed.discard(channel_id)

    # Moderators

    @rule(channel_id=channels, weekday=st.integers(0, 6), at=times)
    def subscribe_at(self, channel_id: int, weekday: int, at: time) -> None:
        self.subscribe(channel_id, weekday=weekday, at=at)

    @rule(channel_id=channels, zone=zones)
    def subscribe_in(self, channel_id: int, zone: str) -> None:
        self.subscribe(channel_id, timezone=zone)

    @rule(channel_id=channels, topic=topics)
    def subscribe_from(self, channel_id: int, topic: str) -> None:
        self.subscribe(channel_id, start_topic=topic)

    @rule(zone=zones)
    def move_server(self, zone: str) -> None:
        self.do(self.process.subscriptions.reschedule_guild(GUILD, zone, self.clock.now()))

    @rule(channel_id=channels)
    def unsubscribe(self, channel_id: int) -> None:
        self.edit(channel_id, subscription_rules.unsubscribe)

    @rule(channel_id=channels)
    def pause(self, channel_id: int) -> None:
        self.edit(channel_id, subscription_rules.pause)

    @rule(channel_id=channels)
    def resume(self, channel_id: int) -> None:
        if self.subscription(channel_id).paused:
            self.edit(channel_id, lambda current: subscription_rules.resume(current, self.clock.now()))

    @rule(channel_id=channels, topic=topics)
    def choose(self, channel_id: int, topic: str) -> None:
        self.edit(channel_id, lambda current: subscription_rules.choose(current, topic))

    @rule(channel_id=channels)
    def skip(self, channel_id: int) -> None:
        self.do(self.deliver_manually(channel_id, self.process.manual.skip))

    @rule(channel_id=channels)
    def post_now(self, channel_id: int) -> None:
        self.do(self.deliver_manually(channel_id, self.process.manual.post))

    # Maintainers

    @rule(slugs=st.lists(topics, min_size=1, unique=True))
    def put_content(self, slugs: list[str]) -> None:
        self.put(*slugs)

    # Guarantees

    @rule(weeks=st.integers(1, 4))
    def every_week_has_its_post_without_faults(self, weeks: int) -> None:
        self.do(self.settle())
        for channel_id in CHANNELS:
            self.subscribe(channel_id)
            self.resume(channel_id)
        end = self.clock.now() + weeks * WEEK
        expected = {channel_id: list(slots_until(self.subscription(channel_id), end)) for channel_id in CHANNELS}
        before = len(self.sender.posts)

        self.do(self.run_until(end))

        posted: dict[int, list[datetime]] = {channel_id: [] for channel_id in CHANNELS}
        for id_, channel_id, _ in self.sender.posts[before:]:
            posted[channel_id].append(self.ledger[id_].slot)
            assert self.sender.clock_at_send[id_] - self.ledger[id_].slot <= 2 * MINUTE
        assert posted == expected

    async def settle(self) -> None:
        """Remove all faults, and run until nothing is pending."""
        self.sender.faults.clear()
        self.sender.finding.clear()
        self.sender.closed.clear()
        await self.run_until(self.clock.now() + MAX_CLOCK_ERROR + timedelta(hours=4))
        assert await self.process.deliveries.next_at() is None

    async def check(self) -> None:
        """Check the database and the channels against the guarantees."""
        before, self.ledger = self.ledger, {row.id: row for row in await self.rows()}
        ids = [id_ for id_, _, _ in self.sender.posts]
        for id_ in before.keys() - self.ledger.keys():
            assert id_ not in ids, "a posted delivery was deleted"
            self.check_deleted(before[id_])
        assert len(ids) == len(set(ids)), "a delivery was posted twice"
        for channel_id in CHANNELS:
            subscription = await self.subscription_of(channel_id)
            rows = [row for row in self.ledger.values() if row.subscription_id == subscription.id]
            self.check_weeks(subscription, [row for row in rows if row.id not in before])
            self.check_rounds(channel_id, rows, [row for row in rows if not is_known(row, before)], before)
            check_no_topic_twice(rows)
            if subscription.active and not subscription.paused:
                assert timedelta() < subscription.next_slot.instant - self.clock.now() < timedelta(days=17)

    def check_deleted(self, row: Row[Any]) -> None:
        """Check a claim that was made while the clock was ahead: its week is free again."""
        assert row.scheduled
        assert row.state in (State.MISSED, State.BLOCKED) or (row.state == State.PENDING and not row.first_attempt_at)
        slots = self.last_slots[row.subscription_id]
        self.last_slots[row.subscription_id] = [(slot, zone) for slot, zone in slots if slot != row.slot]

    def check_weeks(self, subscription: Subscription, new: list[Row[Any]]) -> None:
        """Check that no local week has two slots, in the time zone of either slot."""
        zone = subscription.weekly.zone
        for row in new:
            if row.scheduled:
                for last, last_zone in self.last_slots[subscription.id]:
                    assert week_of(row.slot, zone) > week_of(last, zone)
                    assert week_of(row.slot, last_zone) > week_of(last, last_zone)
                self.last_slots[subscription.id].append((row.slot, zone))

    def check_rounds(
        self, channel_id: int, rows: list[Row[Any]], new: list[Row[Any]], before: dict[str, Row[Any]]
    ) -> None:
        """Check that a round ends only when every topic has been used in it."""
        for row in new:
            if row.round > self.rounds[channel_id]:
                earlier = rows[: rows.index(row)]
                used = {
                    each.topic
                    for each in earlier
                    if each.round == self.rounds[channel_id] and counted_as_used(each, before)
                }
                assert row.round == self.rounds[channel_id] + 1
                assert used >= set(self.library.topics), "a topic was lost from a round"
                self.rounds[channel_id] = row.round

    # Helpers

    def put(self, *slugs: str) -> None:
        track = Track(slug="everything", title="Everything", summary="All of it.", topics=slugs)
        self.library = Library([self.full_library.topics[slug] for slug in slugs], [track])

    def subscribe(self, channel_id: int, **given: Any) -> None:
        def build(current: Subscription | None, guild_timezone: str) -> Subscription:
            return subscription_rules.subscribe(
                current, GUILD, channel_id, guild_timezone, Choices(**given), self.clock.now()
            )

        put = self.do(self.process.subscriptions.put(GUILD, channel_id, build))
        self.rounds[channel_id] = put.after.round

    def edit(self, channel_id: int, change: Callable[[Subscription], Subscription]) -> None:
        if self.subscription(channel_id).active:
            self.do(self.process.subscriptions.change(channel_id, change))

    def subscription(self, channel_id: int) -> Subscription:
        return self.do(self.subscription_of(channel_id))

    async def subscription_of(self, channel_id: int) -> Subscription:
        found = await self.process.subscriptions.of_channel(channel_id)
        assert found is not None
        return found

    async def set_clock(self, ahead: timedelta) -> None:
        """Set the clock, unless a post with an unknown outcome would then seem to have been sent just now.

        Such a post can't be distinguished from one that was.
        """
        now = self.clock.instant + ahead
        for row in await self.rows():
            if row.state == State.PENDING and row.first_attempt_at and now - NONCE_KNOWN < row.first_attempt_at <= now:
                return
        self.clock.ahead = ahead

    async def rows(self) -> list[Row[Any]]:
        """Return the deliveries in the order in which their topics were planned."""
        async with self.process.database.read() as connection:
            found = await connection.execute(select(deliveries))
            known = {id_: number for number, id_ in enumerate(self.ledger)}

            def order(row: Row[Any]) -> tuple[int, datetime]:
                return known[row.id] if is_known(row, self.ledger) else len(known), row.slot

            return sorted(found, key=order)

    async def deliver_manually(
        self, channel_id: int, action: Callable[[Subscription], Coroutine[Any, Any, object]]
    ) -> None:
        subscription = await self.subscription_of(channel_id)
        if subscription.active:
            await self.run_through_crashes(action(subscription))

    async def run_until(self, until: datetime) -> None:
        """Run a tick each minute until then, skipping minutes without a due event."""
        while (event := await self.next_event()) <= until:
            await self.tick(max(event, self.clock.now() + MINUTE))
        self.clock.show(max(until, self.clock.now()))

    async def next_event(self) -> datetime:
        retry = await self.process.deliveries.next_at()
        found = await self.process.subscriptions.of_guild(GUILD)
        slots = [each.next_slot.instant for each in found if not each.paused]
        return min([*([retry] if retry else []), *slots], default=datetime.max.replace(tzinfo=self.clock.now().tzinfo))

    async def tick(self, at: datetime | None = None) -> None:
        self.clock.show(at or self.clock.now())
        await self.run_through_crashes(self.process.dispatcher.run())

    async def restart_and_tick(self) -> None:
        await self.process.restart()
        await self.tick()

    async def run_through_crashes(self, work: Coroutine[Any, Any, object]) -> None:
        """Run the work; after a crash, restart after a while with a clock that may have been changed."""
        if await self.sender.crash.interrupts(work):
            self.clock.instant += self.down_for
            await self.process.restart()
            await self.set_clock(self.ahead_after_crash)
            await self.tick()
        else:
            await self.check()


def slots_until(subscription: Subscription, end: datetime) -> Iterator[datetime]:
    week: date = subscription.next_slot.week
    while (slot := slot_in(subscription.weekly, week)).instant <= end:
        yield slot.instant
        week += WEEK


def is_known(row: Row[Any], before: dict[str, Row[Any]]) -> bool:
    """Return whether it had the same topic before."""
    known = before.get(row.id)
    return known is not None and (known.topic, known.round) == (row.topic, row.round)


def counted_as_used(row: Row[Any], before: dict[str, Row[Any]]) -> bool:
    """Return whether the topic counted as used when the next one was planned, even if its post has failed since."""
    if row.state in USED_STATES:
        return True
    known = before.get(row.id)
    return bool(known.state == State.PENDING if known else row.reason != "weekbot was not running")


def check_no_topic_twice(rows: list[Row[Any]]) -> None:
    seen: set[tuple[int, str]] = set()
    for row in rows:
        if row.state in USED_STATES:
            assert row.chosen or (row.round, row.topic) not in seen, "a topic was repeated in a round"
            seen.add((row.round, row.topic))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_delivery_guarantees_hold_in_random_histories(library: Library) -> None:
    class DeliveryMachineWithLibrary(DeliveryMachine):
        full_library = library

    # Without shrinking: a failing history is readable, and each shorter one would take seconds to run.
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    run_state_machine_as_test(
        DeliveryMachineWithLibrary,
        settings=settings(max_examples=10, stateful_step_count=30, deadline=None, derandomize=True, phases=phases),
    )
