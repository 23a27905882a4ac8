"""The dispatcher's pipeline: how much is in flight, what comes first, and what holds up nothing else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from fakes import CHANNEL, MONDAY, SLOT, Bot, simulated
from weekbot.content.library import Library
from weekbot.db.errors import DatabaseUnavailableError, FencedError
from weekbot.delivery.dispatcher import POLL_SECONDS, TICK, Dispatcher, Job, JobQueue
from weekbot.delivery.errors import RetryableError
from weekbot.delivery.leader_gate import GatedQueue
from weekbot.delivery.ports import SentMessage
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.domain import planning
from weekbot.domain.deliveries import Delivery, Plan, UsedTopics
from weekbot.domain.subscriptions import Subscription

RATE, ALMOST_ALL = 48, 0.995
QUICK, USUAL, SLOW = 0.05, 0.25, 2.0  # seconds until Discord answers


class LoopClock:
    """The time of the simulated loop."""

    def now(self) -> datetime:
        return MONDAY + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())


@dataclass
class Requests:
    """A source of so many pieces of work, each of which is one request that Discord answers after a while.

    Those numbered in `hanging` are never answered. All are due at once, or those after `first` only at an instant.
    """

    count: int
    answered_after: float = USUAL
    pace: RateLimiter = field(default_factory=lambda: RateLimiter(RATE))
    hanging: set[int] = field(default_factory=set)
    failing: set[int] = field(default_factory=set)
    due_at: datetime = MONDAY
    begun: int = 0
    sent: list[float] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def claim(self, limit: int) -> Sequence[Job]:
        if LoopClock().now() < self.due_at:
            return []
        numbers = range(self.begun, min(self.begun + limit, self.count))
        self.begun = numbers.stop
        return [self._request(number) for number in numbers]

    async def next_at(self) -> datetime | None:
        return self.due_at if self.begun < self.count else None

    async def _request(self, number: int) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await self.pace.acquire()
        self.sent.append(asyncio.get_running_loop().time())
        if number in self.failing:
            raise ZeroDivisionError("unexpected")
        await (asyncio.Event().wait() if number in self.hanging else asyncio.sleep(self.answered_after))
        self.in_flight -= 1
        self.answered.append(number)


def dispatcher(*sources: JobQueue, pace: RateLimiter | None = None) -> Dispatcher:
    kept = pace or RateLimiter(RATE)
    return Dispatcher(sources, lambda: kept, LoopClock())


def dispatched(requests: Requests) -> Requests:
    """The requests after a tick that did them all."""

    async def run() -> None:
        await dispatcher(requests, pace=requests.pace).run()

    simulated(run())
    return requests


# As many in flight as leave while one is answered


@pytest.mark.parametrize("answered_after", [QUICK, USUAL, SLOW])
def test_requests_leave_at_the_full_pace_however_long_discord_takes_to_answer(answered_after: float) -> None:
    requests = dispatched(Requests(500, answered_after))

    assert sorted(requests.answered) == list(range(500))
    assert requests.sent[-1] - requests.sent[0] <= 500 / RATE / ALMOST_ALL


@pytest.mark.parametrize("answered_after", [QUICK, USUAL, SLOW])
def test_no_more_are_in_flight_than_leave_while_one_is_answered_and_a_few_that_wait(answered_after: float) -> None:
    requests = dispatched(Requests(500, answered_after))

    assert requests.most_in_flight <= RATE * (answered_after + 0.3) + 2


def test_a_discord_that_hardly_answers_is_not_asked_ever_more() -> None:
    requests = dispatched(Requests(1000, answered_after=30))

    assert len(requests.answered) == 1000
    assert requests.most_in_flight <= 5 * RATE


@pytest.mark.parametrize("rate", [1, 5, 1000])
def test_any_pace_is_kept_and_used(rate: float) -> None:
    requests = dispatched(Requests(200, QUICK, RateLimiter(rate)))

    assert len(requests.answered) == 200
    assert 198 / rate <= requests.sent[-1] - requests.sent[0] <= 201 / rate


# What holds up nothing else


def test_one_that_hangs_holds_up_no_other() -> None:
    async def answered_in(seconds: float) -> list[int]:
        requests = Requests(500, hanging={0, 7, 123})
        running = asyncio.create_task(dispatcher(requests, pace=requests.pace).run())
        await asyncio.sleep(seconds)
        assert not running.done()
        return requests.answered

    answered = simulated(answered_in(500 / RATE / ALMOST_ALL + 1))
    assert sorted(answered) == [number for number in range(500) if number not in {0, 7, 123}]


def test_what_becomes_due_while_one_hangs_is_begun_soon() -> None:
    async def begun_after() -> float:
        due_at = LoopClock().now() + timedelta(seconds=10)
        hanging, later = Requests(1, hanging={0}), Requests(1, due_at=due_at)
        running = asyncio.create_task(dispatcher(hanging, later).run())
        await asyncio.sleep(20)
        assert not running.done()
        return later.sent[0] - asyncio.get_running_loop().time() + 20

    assert 10 <= simulated(begun_after()) <= 10 + POLL_SECONDS + 0.1


def test_an_unexpected_error_in_one_is_logged_and_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    requests = dispatched(Requests(50, failing={0, 17}))

    assert len(requests.answered) == 48
    assert [record.getMessage() for record in caplog.records] == 2 * [
        "unexpected error in a delivery; it is tried again"
    ]


def test_a_source_that_fails_ends_the_tick_and_the_next_tick_goes_on() -> None:
    class Failing(Requests):
        failures = 1

        async def claim(self, limit: int) -> Sequence[Job]:
            if self.begun and self.failures:
                self.failures -= 1
                raise OSError("disk full")
            return await super().claim(limit)

    async def two_ticks() -> list[int]:
        requests = Failing(50)
        ticking = dispatcher(requests, pace=requests.pace)
        with pytest.raises(OSError, match="disk full"):
            await ticking.run()
        await ticking.run()
        return requests.answered

    assert sorted(simulated(two_ticks())) == list(range(50))


# What comes first


class Named(Requests):
    """A source that notes in which order its work is begun among others'."""

    name: str
    order: list[str]

    async def claim(self, limit: int) -> Sequence[Job]:
        works = await super().claim(limit)
        self.order.extend([self.name] * len(works))
        return works


def in_order(posts: int, steps: int, notices: int) -> list[str]:
    """In which order so much work of three sources is begun."""
    order: list[str] = []

    async def run() -> None:
        pace, sources = RateLimiter(RATE), [Named(posts), Named(steps), Named(notices)]
        for source, name in zip(sources, ["post", "step", "notice"], strict=True):
            source.name, source.order, source.pace = name, order, pace
        await dispatcher(*sources, pace=pace).run()

    simulated(run())
    return order


def test_posts_come_first_most_of_the_time() -> None:
    order = in_order(posts=400, steps=400, notices=400)

    last_post = max(number for number, name in enumerate(order) if name == "post")
    assert order[0] == "post"
    assert order[: last_post + 1].count("post") >= 0.7 * (last_post + 1)
    assert len(order) == 1200


def test_a_broadcast_keeps_no_step_and_no_notice_waiting_until_its_end() -> None:
    order = in_order(posts=1000, steps=40, notices=10)

    assert set(order[:500]) == {"post", "step", "notice"}
    assert set(order[500:]) == {"post"}


def test_what_is_due_before_the_next_tick_is_waited_for_and_what_is_due_later_is_left_to_it() -> None:
    async def begun(due_in: timedelta) -> int:
        requests = Requests(1, due_at=LoopClock().now() + due_in)
        await dispatcher(requests).run()
        return requests.begun

    assert simulated(begun(TICK - timedelta(seconds=1))) == 1
    assert simulated(begun(TICK)) == 0


def test_a_tick_during_a_tick_does_nothing() -> None:
    async def ticks() -> int:
        requests = Requests(100)
        ticking = dispatcher(requests, pace=requests.pace)
        first = asyncio.create_task(ticking.run())
        await asyncio.sleep(0.1)
        await ticking.run()
        assert not first.done()
        await first
        return len(requests.answered)

    assert simulated(ticks()) == 100


# Being woken


class Surprising(Requests):
    """There is work as soon as `come` was called, and it takes a second to say when there will be more."""

    known: datetime | None = None

    async def claim(self, limit: int) -> Sequence[Job]:
        return await super().claim(limit) if self.count else []

    async def next_at(self) -> datetime | None:
        known = self.known
        await asyncio.sleep(1)
        return known

    def come(self) -> None:
        self.count = 1


async def begun_after(wake_after: float, known: datetime | None) -> float:
    """How long after it came work is begun, of which the dispatcher is told so long after its start."""
    requests = Surprising(0)
    requests.known = known
    ticking = dispatcher(requests)
    running = asyncio.create_task(ticking.run())
    await asyncio.sleep(wake_after)
    came = asyncio.get_running_loop().time()
    requests.come()
    requests.known = None
    await ticking.run()
    await running
    return requests.sent[0] - came


def test_what_comes_while_it_stays_for_something_later_is_begun_at_once() -> None:
    async def begun() -> float:
        return await begun_after(10, LoopClock().now() + timedelta(seconds=50))

    assert simulated(begun()) < 0.1


@pytest.mark.parametrize("later", [None, timedelta(seconds=50)])
def test_what_comes_while_it_looks_when_there_will_be_more_is_begun_at_the_end_of_that_look(
    later: timedelta | None,
) -> None:
    async def begun() -> float:
        return await begun_after(0.5, LoopClock().now() + later if later else None)

    assert simulated(begun()) < 0.6


# Taking turns


def test_nothing_is_taken_while_it_is_not_its_turn() -> None:
    async def begun(turn: bool) -> tuple[int, datetime | None]:
        requests = Requests(1)
        only = GatedQueue(requests, lambda: turn)
        await dispatcher(only).run()
        return requests.begun, await only.next_at()

    assert simulated(begun(turn=True)) == (1, None)
    assert simulated(begun(turn=False)) == (0, None)


def test_a_source_that_another_process_has_taken_over_is_no_error_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Fenced(Requests):
        async def claim(self, limit: int) -> Sequence[Job]:
            raise FencedError

        async def next_at(self) -> None:
            return None

    async def answered() -> list[int]:
        others = Requests(20)
        await dispatcher(GatedQueue(Fenced(1), lambda: True), others).run()
        return others.answered

    assert sorted(simulated(answered())) == list(range(20))
    assert caplog.records == []


def test_work_whose_end_another_process_does_not_let_it_record_is_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Fenced(Requests):
        async def _request(self, _: int) -> None:
            raise FencedError

    dispatched(Fenced(1))
    [record] = caplog.records
    assert record.exc_info is None
    assert "Another process sends now" in record.getMessage()


# The end


async def stopped_after(seconds: float, requests: Requests) -> Requests:
    """The requests when the dispatcher, stopped that long after its start, has stopped."""
    stopping = dispatcher(requests, pace=requests.pace)
    running = asyncio.create_task(stopping.run())
    await asyncio.sleep(seconds)
    at_the_stop = requests.begun
    await stopping.stop()
    assert requests.begun == at_the_stop
    await running
    return requests


@pytest.mark.parametrize("answered_after", [QUICK, SLOW, 19])
def test_a_stop_finishes_what_is_in_flight_and_begins_nothing(answered_after: float) -> None:
    requests = simulated(stopped_after(6, Requests(1000, answered_after)))

    assert 0 < requests.begun < 1000
    assert sorted(requests.answered) == list(range(requests.begun))
    assert requests.in_flight == 0


def test_a_stop_leaves_what_takes_too_long_to_the_ledger() -> None:
    requests = simulated(stopped_after(6, Requests(1000, 300)))

    assert requests.begun > 0
    assert requests.answered == []


def test_a_stop_while_there_is_nothing_to_do_ends_the_waiting() -> None:
    async def stopped() -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        await stopped_after(1, Requests(1, due_at=LoopClock().now() + timedelta(seconds=50)))
        return loop.time() - start

    assert simulated(stopped()) <= 1.1


def test_what_is_asked_for_by_hand_is_done_at_once_and_awaited() -> None:
    async def by_hand() -> list[int]:
        requests = Requests(1)
        (work,) = await requests.claim(1)
        await dispatcher().run_job(work)
        return requests.answered

    assert simulated(by_hand()) == [0]


def test_work_by_hand_goes_on_when_the_one_who_asked_has_gone_and_a_stop_waits_for_it() -> None:
    async def by_hand() -> list[int]:
        requests, ours = Requests(1), dispatcher()
        (work,) = await requests.claim(1)
        asking = asyncio.create_task(ours.run_job(work))
        await asyncio.sleep(USUAL / 2)
        asking.cancel()
        await ours.stop()
        return requests.answered

    assert simulated(by_hand()) == [0]


def test_after_a_stop_nothing_is_begun_by_hand_either() -> None:
    async def by_hand() -> list[float]:
        requests, ours = Requests(1), dispatcher()
        (work,) = await requests.claim(1)
        await ours.stop()
        await ours.run_job(work)
        return requests.sent

    assert simulated(by_hand()) == []


# Over the ledger


async def test_a_retry_that_is_due_comes_behind_what_is_new(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", TICK)]
    await bot.tick(SLOT)
    for channel_id in range(100, 130):
        await bot.subscribe(channel_id, at=(SLOT + TICK).time())

    await bot.tick(SLOT + TICK)

    assert bot.sender.posts[-1][1] == CHANNEL
    assert bot.channels() == [CHANNEL, *range(100, 130)]


@pytest.fixture
def claims_of(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """By channel, how many claims of it fail from now on, counted down."""
    failing: dict[int, int] = {}
    coming_topic = planning.coming_topic

    def coming_or_failing(library: Library, subscription: Subscription, had: UsedTopics) -> Plan:
        if failing.get(subscription.channel_id):
            failing[subscription.channel_id] -= 1
            raise LookupError("unexpected")
        return coming_topic(library, subscription, had)

    monkeypatch.setattr(planning, "coming_topic", coming_or_failing)
    return failing


async def test_a_claim_that_fails_holds_up_no_other(
    bot: Bot, claims_of: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weekbot.delivery.due_posts.CLAIMED_AT_ONCE", 4)
    for channel_id in range(100, 120):
        await bot.subscribe(channel_id)
    claims_of |= dict.fromkeys(range(100, 106), 1000)

    await bot.tick(SLOT)

    assert bot.channels() == list(range(106, 120))


async def test_a_claim_that_fails_is_tried_again_each_minute_and_not_in_a_tight_loop(
    bot: Bot, claims_of: dict[int, int]
) -> None:
    await bot.subscribe()
    claims_of[CHANNEL] = 1000

    for minute in range(3):
        await bot.tick(SLOT + minute * TICK)

    assert claims_of[CHANNEL] == 997


async def test_a_claim_that_fails_delays_nothing_that_is_due_a_minute_later(
    bot: Bot, claims_of: dict[int, int]
) -> None:
    await bot.subscribe(100)
    await bot.subscribe(101, at=(SLOT + TICK).time())
    claims_of[100] = 1000
    await bot.tick(SLOT + timedelta(seconds=0.3))

    await bot.tick(SLOT + TICK)

    assert bot.channels() == [101]


async def test_a_claim_that_failed_succeeds_as_soon_as_it_can(bot: Bot, claims_of: dict[int, int]) -> None:
    await bot.subscribe()
    claims_of[CHANNEL] = 1
    await bot.tick(SLOT)
    assert bot.topics() == []

    await bot.tick(SLOT + TICK)

    assert bot.topics() == ["flask"]


@pytest.mark.parametrize("error", [FencedError(), DatabaseUnavailableError()], ids=["fenced", "away"])
async def test_a_claim_that_fails_for_the_whole_process_is_no_single_channels_fault(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    for channel_id in range(100, 110):
        await bot.subscribe(channel_id)
    claim, claims = bot.process.deliveries.claim_due, 0

    async def failing(*arguments: Any) -> list[Delivery]:
        nonlocal claims
        claims += 1
        if claims == 1:
            raise error
        return await claim(*arguments)

    monkeypatch.setattr(bot.process.deliveries, "claim_due", failing)
    # The gate takes a fenced process for one that isn't the leader.
    with nullcontext() if isinstance(error, FencedError) else pytest.raises(DatabaseUnavailableError):
        await bot.tick(SLOT)
    assert (claims, caplog.records) == (1, [])

    await bot.tick(SLOT)  # none of them has to rest

    assert bot.channels() == list(range(100, 110))


# What a tick writes


@pytest.fixture
def writes(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each write transaction of the process that begins from now on."""
    begun, write = list[str](), bot.process.database.write

    @asynccontextmanager
    async def counting() -> AsyncIterator[AsyncConnection]:
        begun.append("write")
        async with write() as connection:
            yield connection

    monkeypatch.setattr(bot.process.database, "write", counting)
    return begun


async def test_an_idle_tick_begins_no_write_transaction(bot: Bot, writes: list[str]) -> None:
    await bot.subscribe(pin=True)
    await bot.tick(SLOT)
    await bot.tick(SLOT + TICK)
    writes.clear()

    await bot.tick(SLOT + 2 * TICK)

    assert writes == []


async def test_a_due_post_is_claimed_and_leased_in_one_write_transaction(
    bot: Bot, writes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.subscribe()
    await bot.tick(SLOT - TICK)
    send, before = bot.sender.send, list[int]()

    async def counted(*arguments: Any) -> SentMessage:
        before.append(len(writes))
        return await send(*arguments)

    monkeypatch.setattr(bot.sender, "send", counted)
    writes.clear()

    await bot.tick(SLOT)

    assert before == [1]
    assert len(writes) == 2  # the other records the post
