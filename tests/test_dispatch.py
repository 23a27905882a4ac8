"""The dispatcher's pipeline: concurrency, priorities, and isolation of failures."""

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
from weekbot.delivery.ports import SentMessage
from weekbot.delivery.worker import Worker
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.domain import planning
from weekbot.domain.deliveries import Delivery, Plan, UsedTopics
from weekbot.domain.subscriptions import Subscription

RATE, EFFICIENCY = 48, 0.995
FAST, NORMAL, SLOW = 0.05, 0.25, 2.0  # seconds until Discord answers


class LoopClock:
    """A clock with the time of the simulated loop."""

    def now(self) -> datetime:
        return MONDAY + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())


@dataclass
class Requests:
    """A queue of `count` jobs, each of which is one request that Discord answers after a while.

    Requests whose numbers are in `hanging` are never answered. All are due at `due_at`.
    """

    count: int
    answered_after: float = NORMAL
    rate_limiter: RateLimiter = field(default_factory=lambda: RateLimiter(RATE))
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
        await self.rate_limiter.acquire()
        self.sent.append(asyncio.get_running_loop().time())
        if number in self.failing:
            raise ZeroDivisionError("unexpected")
        await (asyncio.Event().wait() if number in self.hanging else asyncio.sleep(self.answered_after))
        self.in_flight -= 1
        self.answered.append(number)


def dispatcher(*queues: JobQueue, rate_limiter: RateLimiter | None = None) -> Dispatcher:
    limiter = rate_limiter or RateLimiter(RATE)
    return Dispatcher(queues, lambda: limiter, LoopClock())


def dispatch_all(requests: Requests) -> Requests:
    """Run a tick that executes all requests."""

    async def run() -> None:
        await dispatcher(requests, rate_limiter=requests.rate_limiter).run()

    simulated(run())
    return requests


# Concurrency


@pytest.mark.parametrize("answered_after", [FAST, NORMAL, SLOW])
def test_requests_are_sent_at_the_full_rate_at_any_latency(answered_after: float) -> None:
    requests = dispatch_all(Requests(500, answered_after))

    assert sorted(requests.answered) == list(range(500))
    assert requests.sent[-1] - requests.sent[0] <= 500 / RATE / EFFICIENCY


@pytest.mark.parametrize("answered_after", [FAST, NORMAL, SLOW])
def test_the_number_in_flight_is_limited_by_the_rate_and_the_latency(answered_after: float) -> None:
    requests = dispatch_all(Requests(500, answered_after))

    assert requests.most_in_flight <= RATE * (answered_after + 0.3) + 2


def test_the_number_in_flight_is_limited_if_discord_hardly_responds() -> None:
    requests = dispatch_all(Requests(1000, answered_after=30))

    assert len(requests.answered) == 1000
    assert requests.most_in_flight <= 5 * RATE


@pytest.mark.parametrize("rate", [1, 5, 1000])
def test_any_rate_limit_is_respected_and_used(rate: float) -> None:
    requests = dispatch_all(Requests(200, FAST, RateLimiter(rate)))

    assert len(requests.answered) == 200
    assert 198 / rate <= requests.sent[-1] - requests.sent[0] <= 201 / rate


# Isolation of failures


def test_a_hanging_request_delays_no_other() -> None:
    async def answered_in(seconds: float) -> list[int]:
        requests = Requests(500, hanging={0, 7, 123})
        running = asyncio.create_task(dispatcher(requests, rate_limiter=requests.rate_limiter).run())
        await asyncio.sleep(seconds)
        assert not running.done()
        return requests.answered

    answered = simulated(answered_in(500 / RATE / EFFICIENCY + 1))
    assert sorted(answered) == [number for number in range(500) if number not in {0, 7, 123}]


def test_a_job_that_becomes_due_while_another_hangs_starts_soon() -> None:
    async def begun_after() -> float:
        due_at = LoopClock().now() + timedelta(seconds=10)
        hanging, later = Requests(1, hanging={0}), Requests(1, due_at=due_at)
        running = asyncio.create_task(dispatcher(hanging, later).run())
        await asyncio.sleep(20)
        assert not running.done()
        return later.sent[0] - asyncio.get_running_loop().time() + 20

    assert 10 <= simulated(begun_after()) <= 10 + POLL_SECONDS + 0.1


def test_an_unexpected_error_is_logged_and_delays_no_other_job(caplog: pytest.LogCaptureFixture) -> None:
    requests = dispatch_all(Requests(50, failing={0, 17}))

    assert len(requests.answered) == 48
    assert [record.getMessage() for record in caplog.records] == 2 * [
        "unexpected error in a delivery; it is tried again"
    ]


def test_a_failing_queue_ends_the_tick_and_the_next_tick_continues() -> None:
    class Failing(Requests):
        failures = 1

        async def claim(self, limit: int) -> Sequence[Job]:
            if self.begun and self.failures:
                self.failures -= 1
                raise OSError("disk full")
            return await super().claim(limit)

    async def two_ticks() -> list[int]:
        requests = Failing(50)
        runner = dispatcher(requests, rate_limiter=requests.rate_limiter)
        with pytest.raises(OSError, match="disk full"):
            await runner.run()
        await runner.run()
        return requests.answered

    assert sorted(simulated(two_ticks())) == list(range(50))


# Priorities


class RecordingQueue(Requests):
    """A queue that records the order in which jobs of several queues are claimed."""

    name: str
    order: list[str]

    async def claim(self, limit: int) -> Sequence[Job]:
        jobs = await super().claim(limit)
        self.order.extend([self.name] * len(jobs))
        return jobs


def claim_order(posts: int, steps: int, notices: int) -> list[str]:
    """Return the order in which the jobs of three queues are claimed."""
    order: list[str] = []

    async def run() -> None:
        rate_limiter, queues = RateLimiter(RATE), [RecordingQueue(count) for count in (posts, steps, notices)]
        for queue, name in zip(queues, ["post", "step", "notice"], strict=True):
            queue.name, queue.order, queue.rate_limiter = name, order, rate_limiter
        await dispatcher(*queues, rate_limiter=rate_limiter).run()

    simulated(run())
    return order


def test_posts_have_priority_most_of_the_time() -> None:
    order = claim_order(posts=400, steps=400, notices=400)

    last_post = max(number for number, name in enumerate(order) if name == "post")
    assert order[0] == "post"
    assert order[: last_post + 1].count("post") >= 0.7 * (last_post + 1)
    assert len(order) == 1200


def test_many_posts_do_not_starve_steps_and_notices() -> None:
    order = claim_order(posts=1000, steps=40, notices=10)

    assert set(order[:500]) == {"post", "step", "notice"}
    assert set(order[500:]) == {"post"}


def test_a_tick_waits_only_for_jobs_that_are_due_before_the_next_tick() -> None:
    async def begun_jobs(due_in: timedelta) -> int:
        requests = Requests(1, due_at=LoopClock().now() + due_in)
        await dispatcher(requests).run()
        return requests.begun

    assert simulated(begun_jobs(TICK - timedelta(seconds=1))) == 1
    assert simulated(begun_jobs(TICK)) == 0


def test_a_tick_during_a_tick_does_nothing() -> None:
    async def ticks() -> int:
        requests = Requests(100)
        runner = dispatcher(requests, rate_limiter=requests.rate_limiter)
        first = asyncio.create_task(runner.run())
        await asyncio.sleep(0.1)
        await runner.run()
        assert not first.done()
        await first
        return len(requests.answered)

    assert simulated(ticks()) == 100


def test_two_wakes_at_once_start_one_run() -> None:
    async def runs() -> int:
        runner = dispatcher(Requests(0))
        before = len(asyncio.all_tasks())
        runner.wake()
        runner.wake()
        started = len(asyncio.all_tasks()) - before
        await runner.stop()
        return started

    assert simulated(runs()) == 1


# Waking


class SurprisingQueue(Requests):
    """A queue with a job after `add` was called, whose `next_at` takes a second."""

    next_due: datetime | None = None

    async def claim(self, limit: int) -> Sequence[Job]:
        return await super().claim(limit) if self.count else []

    async def next_at(self) -> datetime | None:
        next_due = self.next_due
        await asyncio.sleep(1)
        return next_due

    def add(self) -> None:
        self.count = 1


async def delay_after_wake(wake_after: float, next_due: datetime | None) -> float:
    """Add a job and wake the dispatcher that long after its start; return the job's delay."""
    requests = SurprisingQueue(0)
    requests.next_due = next_due
    runner = dispatcher(requests)
    running = asyncio.create_task(runner.run())
    await asyncio.sleep(wake_after)
    added_at = asyncio.get_running_loop().time()
    requests.add()
    requests.next_due = None
    await runner.run()
    await running
    return requests.sent[0] - added_at


def test_a_new_job_starts_immediately_while_the_dispatcher_waits_for_a_later_one() -> None:
    async def begun() -> float:
        return await delay_after_wake(10, LoopClock().now() + timedelta(seconds=50))

    assert simulated(begun()) < 0.1


@pytest.mark.parametrize("later", [None, timedelta(seconds=50)])
def test_a_new_job_starts_after_the_query_for_the_next_due_time(
    later: timedelta | None,
) -> None:
    async def begun() -> float:
        return await delay_after_wake(0.5, LoopClock().now() + later if later else None)

    assert simulated(begun()) < 0.6


# Leadership


@dataclass
class Attempts:
    """A handler of a queue's requests."""

    source: Requests
    seconds: float = 10

    async def claim(self, _: datetime, limit: int) -> Sequence[Job]:
        return await self.source.claim(limit)

    async def next_at(self) -> datetime | None:
        return await self.source.next_at()

    async def attempt(self, job: Job, _: float) -> None:
        await job


def test_nothing_is_claimed_without_leadership() -> None:
    async def begun(is_leader: bool) -> tuple[int, datetime | None]:
        requests = Requests(1)
        worker = Worker(Attempts(requests), LoopClock(), lambda: is_leader)
        await dispatcher(worker).run()
        return requests.begun, await worker.next_at()

    assert simulated(begun(is_leader=True)) == (1, None)
    assert simulated(begun(is_leader=False)) == (0, None)


def test_a_fenced_queue_is_not_an_error_and_the_others_continue(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Fenced(Requests):
        async def claim(self, limit: int) -> Sequence[Job]:
            raise FencedError

        async def next_at(self) -> None:
            return None

    async def answered() -> list[int]:
        others = Requests(20)
        await dispatcher(Worker(Attempts(Fenced(1)), LoopClock()), others).run()
        return others.answered

    assert sorted(simulated(answered())) == list(range(20))
    assert caplog.records == []


def test_a_job_whose_outcome_is_fenced_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Fenced(Requests):
        async def _request(self, _: int) -> None:
            raise FencedError

    dispatch_all(Fenced(1))
    [record] = caplog.records
    assert record.exc_info is None
    assert "Another process sends now" in record.getMessage()


# Stopping


async def stop_after(seconds: float, requests: Requests) -> Requests:
    """Stop the dispatcher that long after its start, and return the requests."""
    runner = dispatcher(requests, rate_limiter=requests.rate_limiter)
    running = asyncio.create_task(runner.run())
    await asyncio.sleep(seconds)
    begun_at_stop = requests.begun
    await runner.stop()
    assert requests.begun == begun_at_stop
    await running
    return requests


@pytest.mark.parametrize("answered_after", [FAST, SLOW, 19])
def test_a_stop_finishes_jobs_in_flight_and_starts_none(answered_after: float) -> None:
    requests = simulated(stop_after(6, Requests(1000, answered_after)))

    assert 0 < requests.begun < 1000
    assert sorted(requests.answered) == list(range(requests.begun))
    assert requests.in_flight == 0


def test_a_stop_abandons_jobs_that_take_too_long() -> None:
    requests = simulated(stop_after(6, Requests(1000, 300)))

    assert requests.begun > 0
    assert requests.answered == []


def test_a_stop_ends_an_idle_wait() -> None:
    async def stopped() -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        await stop_after(1, Requests(1, due_at=LoopClock().now() + timedelta(seconds=50)))
        return loop.time() - start

    assert simulated(stopped()) <= 1.1


def test_a_manual_job_runs_immediately_and_is_awaited() -> None:
    async def run_manual_job() -> list[int]:
        requests = Requests(1)
        (job,) = await requests.claim(1)
        await dispatcher().run_job(job)
        return requests.answered

    assert simulated(run_manual_job()) == [0]


def test_a_manual_job_continues_if_its_caller_is_cancelled_and_a_stop_waits_for_it() -> None:
    async def run_manual_job() -> list[int]:
        requests, runner = Requests(1), dispatcher()
        (job,) = await requests.claim(1)
        caller = asyncio.create_task(runner.run_job(job))
        await asyncio.sleep(NORMAL / 2)
        caller.cancel()
        await runner.stop()
        return requests.answered

    assert simulated(run_manual_job()) == [0]


def test_no_manual_job_starts_after_a_stop() -> None:
    async def run_manual_job() -> list[float]:
        requests, runner = Requests(1), dispatcher()
        (job,) = await requests.claim(1)
        await runner.stop()
        await runner.run_job(job)
        return requests.sent

    assert simulated(run_manual_job()) == []


# With a database


async def test_a_due_retry_is_sent_after_new_posts(bot: Bot) -> None:
    await bot.subscribe()
    bot.sender.before = [RetryableError("Discord asked weekbot to wait", TICK)]
    await bot.tick(SLOT)
    for channel_id in range(100, 130):
        await bot.subscribe(channel_id, at=(SLOT + TICK).time())

    await bot.tick(SLOT + TICK)

    assert bot.sender.posts[-1][1] == CHANNEL
    assert bot.channels() == [CHANNEL, *range(100, 130)]


@pytest.fixture
def claim_failures(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The remaining number of failing claims by channel."""
    failing: dict[int, int] = {}
    coming_topic = planning.coming_topic

    def coming_topic_or_error(library: Library, subscription: Subscription, used: UsedTopics) -> Plan:
        if failing.get(subscription.channel_id):
            failing[subscription.channel_id] -= 1
            raise LookupError("unexpected")
        return coming_topic(library, subscription, used)

    monkeypatch.setattr(planning, "coming_topic", coming_topic_or_error)
    return failing


async def test_a_failing_claim_delays_no_other(
    bot: Bot, claim_failures: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weekbot.delivery.due_posts.CLAIMED_AT_ONCE", 4)
    for channel_id in range(100, 120):
        await bot.subscribe(channel_id)
    claim_failures |= dict.fromkeys(range(100, 106), 1000)

    await bot.tick(SLOT)

    assert bot.channels() == list(range(106, 120))


async def test_a_failing_claim_is_retried_once_a_minute(bot: Bot, claim_failures: dict[int, int]) -> None:
    await bot.subscribe()
    claim_failures[CHANNEL] = 1000

    for minute in range(3):
        await bot.tick(SLOT + minute * TICK)

    assert claim_failures[CHANNEL] == 997


async def test_a_failing_claim_delays_no_post_that_is_due_a_minute_later(
    bot: Bot, claim_failures: dict[int, int]
) -> None:
    await bot.subscribe(100)
    await bot.subscribe(101, at=(SLOT + TICK).time())
    claim_failures[100] = 1000
    await bot.tick(SLOT + timedelta(seconds=0.3))

    await bot.tick(SLOT + TICK)

    assert bot.channels() == [101]


async def test_a_failed_claim_succeeds_at_the_next_tick(bot: Bot, claim_failures: dict[int, int]) -> None:
    await bot.subscribe()
    claim_failures[CHANNEL] = 1
    await bot.tick(SLOT)
    assert bot.topics() == []

    await bot.tick(SLOT + TICK)

    assert bot.topics() == ["flask"]


@pytest.mark.parametrize("error", [FencedError(), DatabaseUnavailableError()], ids=["fenced", "unavailable"])
async def test_a_process_wide_error_in_a_claim_delays_no_single_channel(
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

    await bot.tick(SLOT)  # no channel is delayed

    assert bot.channels() == list(range(100, 110))


# Write transactions


@pytest.fixture
def writes(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An item for each write transaction that the process begins."""
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
