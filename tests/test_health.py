"""Readiness with its conditions, metrics, and the health server."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from fakes import CHANNEL, MONDAY, SLOT, Bot, FakeClock
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnavailableError
from weekbot.delivery.dispatcher import Dispatcher, Job
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.delivery.outage import Outage
from weekbot.delivery.token_users import RecordedSign, Sign
from weekbot.delivery.traffic import Traffic
from weekbot.discord_io.circuit_breaker import MAX_INVALID_REQUESTS, CircuitBreaker
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rate_limits import RateLimits
from weekbot.ops.health import MOST_CONNECTIONS, serve_health
from weekbot.ops.metrics import Metrics
from weekbot.ops.readiness import GRACE, LATEST_TICK, Readiness, Report
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.ttl_cache import TtlCache
from weekbot.store.reports import backlog
from weekbot.store.reports.backlog import Backlog

CATCH_UP = timedelta(hours=24)


@dataclass
class Parts:
    """The parts of a process; none has a problem until a test sets one."""

    clock: FakeClock = field(default_factory=FakeClock)
    unconnected: list[int] | None = field(default_factory=list)
    since_poll: timedelta | None = timedelta()
    found: Backlog | Exception = field(default_factory=lambda: Backlog(0, 0, None))
    responds: asyncio.Event = field(default_factory=asyncio.Event)
    unwritable: str | None = None
    is_leader: bool = True
    problems: int = 0
    set_aside: Collection[str] = ()
    queries: int = 0
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    unregistered: str | None = None
    other_user: RecordedSign | None = None
    silence: timedelta = timedelta()
    trouble: str | None = None
    outage: str | None = None

    def __post_init__(self) -> None:
        self.responds.set()
        self.recent = TtlCache(self._query, 5)

    async def _query(self) -> Backlog:
        self.queries += 1
        await self.responds.wait()
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def _last_poll(self) -> float | None:
        if self.since_poll is None:
            return None
        return asyncio.get_running_loop().time() - self.since_poll.total_seconds()

    @property
    def readiness(self) -> Readiness:
        return Readiness(
            unconnected=lambda: self.unconnected,
            last_poll=self._last_poll,
            backlog=self.recent,
            unwritable=lambda: self.unwritable,
            is_leader=lambda: self.is_leader,
            problems=lambda: self.problems,
            set_aside=lambda: self.set_aside,
            circuit_breaker=self.circuit_breaker,
            rate_limits=self.rate_limits,
            traffic=cast("Traffic", SimpleNamespace(silence=self.silence, trouble=self.trouble)),
            outage=cast("Outage", SimpleNamespace(trouble=self.outage)),
            commands=lambda: self.unregistered,
            token=lambda: self.other_user,
            clock=self.clock,
            catch_up=CATCH_UP,
        )


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    parts = Parts()
    yield parts
    await parts.recent.stop()


def unmet(report: Report) -> dict[str, str]:
    return {name: each.says for name, each in report.conditions.items() if not each.met}


# Readiness


async def test_a_process_without_problems_is_ready(parts: Parts) -> None:
    report = await parts.readiness.report()
    assert report.ready
    assert list(report.conditions) == [
        "gateway",
        "tick",
        "database",
        "deliveries",
        "leadership",
        "requests",
        "commands",
        "token",
        "content",
    ]


@pytest.mark.parametrize(
    ("condition", "change", "says"),
    [
        ("gateway", {"unconnected": None}, "Not connected to Discord's gateway yet"),
        ("gateway", {"unconnected": [1, 3]}, "shard 1, 3"),
        ("tick", {"since_poll": None}, "No check for due work"),
        ("tick", {"since_poll": LATEST_TICK + timedelta(seconds=1)}, "181 seconds ago. Restart"),
        ("database", {"found": DatabaseUnavailableError()}, "Check that it runs"),
        ("database", {"found": KeyError("a mistake")}, "an unexpected error, which is logged"),
        ("database", {"unwritable": "The database is a standby; use the primary."}, "is a standby; use the primary."),
    ],
)
async def test_one_problem_fails_one_condition(parts: Parts, condition: str, change: dict[str, Any], says: str) -> None:
    for name, value in change.items():
        setattr(parts, name, value)
    failed = unmet(await parts.readiness.report())
    assert list(failed) == [condition]
    assert says in failed[condition]


async def test_the_reason_of_an_unavailable_database_is_one_line(parts: Parts) -> None:
    parts.found = DatabaseUnavailableError()
    parts.found.__cause__ = OSError("attempt to write a readonly database\n[SQL: UPDATE ...]")
    assert "used: attempt to write a readonly database. Check" in unmet(await parts.readiness.report())["database"]


@pytest.mark.parametrize(("late", "overdue"), [(timedelta(), False), (timedelta(seconds=1), True)])
async def test_a_delivery_is_overdue_after_its_catch_up_time_and_the_grace_period(
    parts: Parts, late: timedelta, overdue: bool
) -> None:
    oldest = parts.clock.now() - CATCH_UP - GRACE - late
    parts.found = Backlog(0, 1, oldest)
    assert ("deliveries" in unmet(await parts.readiness.report())) is overdue


async def test_a_standby_is_ready_despite_overdue_deliveries(parts: Parts) -> None:
    parts.is_leader, parts.found = False, Backlog(0, 1, parts.clock.now() - timedelta(days=9))
    report = await parts.readiness.report()
    assert report.ready
    assert "on standby" in report.conditions["leadership"].says


async def test_content_problems_are_reported_without_failing_readiness(parts: Parts) -> None:
    parts.problems = 2
    report = await parts.readiness.report()
    assert report.ready
    assert "2 problems" in report.conditions["content"].says
    parts.problems, parts.set_aside = 0, {"flask", "django"}
    content = (await parts.readiness.report()).conditions["content"]
    assert content.met
    assert "Discord refuses django, flask" in content.says


async def test_an_open_circuit_breaker_does_not_fail_readiness(parts: Parts) -> None:
    for _ in range(MAX_INVALID_REQUESTS):
        parts.circuit_breaker.record(403, shared=False)
    report = await parts.readiness.report()
    assert report.ready
    assert "only members are answered" in report.conditions["requests"].says


WAITS = Backlog(1, 0, MONDAY - timedelta(minutes=10))


@pytest.mark.parametrize(
    ("backlog", "silence", "sends", "met"),
    [
        (WAITS, timedelta(seconds=89), True, True),
        (WAITS, timedelta(seconds=91), True, False),
        (WAITS, timedelta(seconds=91), False, True),
        (Backlog(0, 0, None), timedelta(days=1), True, True),
        (Backlog(0, 1, MONDAY - timedelta(seconds=60)), timedelta(days=1), True, True),
    ],
)
async def test_readiness_fails_if_no_request_succeeds_while_posts_are_due(
    parts: Parts, backlog: Backlog, silence: timedelta, sends: bool, met: bool
) -> None:
    parts.found, parts.silence, parts.is_leader, parts.trouble = (
        backlog,
        silence,
        sends,
        "Discord is having problems (503)",
    )
    condition = (await parts.readiness.report()).conditions["requests"]
    assert condition.met == met
    assert "Discord is having problems (503)" in condition.says


async def test_the_leader_reports_that_all_posts_fail_while_discord_responds(parts: Parts) -> None:
    parts.outage = "the last 100 posts failed (Discord is having problems (503))"
    condition = (await parts.readiness.report()).conditions["requests"]
    assert condition.met
    assert condition.says == "No posts get through: the last 100 posts failed (Discord is having problems (503))."
    parts.is_leader = False
    assert (await parts.readiness.report()).conditions["requests"].says == "Discord accepts this process's requests."


async def test_a_pause_requested_by_discord_is_reported_with_its_length(parts: Parts) -> None:
    parts.rate_limits.pause_all(timedelta(seconds=25))
    report = await parts.readiness.report()
    assert report.ready
    assert report.conditions["requests"].says == "Discord paused all requests for another 25 seconds."
    parts.found, parts.silence = WAITS, timedelta(minutes=5)
    assert not (await replace(parts).readiness.report()).conditions["requests"].met


async def test_unregistered_commands_are_reported_without_failing_readiness(parts: Parts) -> None:
    parts.unregistered = "Discord refused it (30034: daily limit)"
    report = await parts.readiness.report()
    assert report.ready
    assert "Discord refused it (30034: daily limit)" in report.conditions["commands"].says


# Queries of the backlog


async def test_another_user_of_the_token_is_reported_without_failing_readiness(parts: Parts) -> None:
    parts.other_user = RecordedSign(Sign.POST, MONDAY)
    report = await parts.readiness.report()
    assert report.ready
    says = report.conditions["token"].says
    assert says.startswith(
        "Another program uses the bot's token; it posts weekly topics from a database of its own (2026-11-23"
    )
    assert "reset the token" in says


async def test_a_result_is_cached_for_all_callers(parts: Parts) -> None:
    await asyncio.gather(*(parts.readiness.report() for _ in range(20)))
    await parts.readiness.report()
    assert parts.queries == 1


async def test_an_expired_result_is_fetched_again() -> None:
    queries = iter(range(9))

    async def query() -> int:
        return next(queries)

    recent = TtlCache(query, 0)
    assert [await recent.get(1), await recent.get(1)] == [0, 1]


async def test_callers_share_the_result_of_a_hanging_query() -> None:
    responds = asyncio.Event()
    queries = 0

    async def query() -> str:
        nonlocal queries
        queries += 1
        await responds.wait()
        return "well"

    recent = TtlCache(query, 60)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await recent.get(0.01)
    responds.set()
    assert (await recent.get(10), queries) == ("well", 1)


async def test_an_error_after_all_callers_timed_out_is_raised_for_the_next_one() -> None:
    fails = asyncio.Event()

    async def query() -> None:
        await fails.wait()
        raise DatabaseUnavailableError

    recent = TtlCache(query, 60)
    with pytest.raises(TimeoutError):
        await recent.get(0.01)
    fails.set()
    await asyncio.sleep(0.01)
    with pytest.raises(DatabaseUnavailableError):
        await recent.get(1)


async def test_the_backlog_is_counted_with_its_earliest_slot(bot: Bot, database: Database) -> None:
    assert await backlog.measure(database, SLOT) == Backlog(0, 0, None)
    await bot.subscribe(CHANNEL)
    await bot.subscribe(CHANNEL + 1)
    assert await backlog.measure(database, SLOT - timedelta(seconds=1)) == Backlog(0, 0, None)
    assert await backlog.measure(database, SLOT) == Backlog(2, 0, SLOT)
    bot.sender.before.append(RetryableError("Discord asked weekbot to wait", timedelta(minutes=9)))
    await bot.tick(SLOT)
    assert await backlog.measure(database, SLOT) == Backlog(0, 1, SLOT)
    await bot.tick(SLOT + timedelta(minutes=9))
    assert await backlog.measure(database, bot.clock.now()) == Backlog(0, 0, None)


async def test_paused_and_ended_subscriptions_are_not_in_the_backlog(bot: Bot, database: Database) -> None:
    await bot.subscribe(CHANNEL)
    await bot.subscribe(CHANNEL + 1)
    await bot.process.subscriptions.change(CHANNEL, lambda current: replace(current, paused=True))
    await bot.process.subscriptions.change(CHANNEL + 1, lambda current: replace(current, active=False))
    assert await backlog.measure(database, SLOT) == Backlog(0, 0, None)


async def test_backlog_counts_are_capped(bot: Bot, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MAX_COUNTED", 2)
    for number in range(4):
        await bot.subscribe(CHANNEL + number)
    assert (await backlog.measure(database, SLOT)).due == 2


async def test_a_read_only_database_counts_as_unavailable(database: Database) -> None:
    async with database.engine.connect() as connection:
        if database.is_sqlite:
            await connection.exec_driver_sql("PRAGMA query_only=ON")
        else:
            name = database.engine.url.database
            await connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
            await connection.commit()
    if not database.is_sqlite:
        await database.close()  # open connections keep their settings
    with pytest.raises(DatabaseUnavailableError) as caught:
        await backlog.measure(database, SLOT)
    assert "read" in str(caught.value.__cause__)


# The tick


class HangingQueue:
    """A job queue that hangs if a test says so."""

    def __init__(self) -> None:
        self.hangs = False

    async def claim(self, limit: int) -> list[Job]:
        if self.hangs:
            await asyncio.Event().wait()
        return []

    async def next_at(self) -> datetime | None:
        return None


async def test_a_hanging_poll_does_not_count(clock: FakeClock) -> None:
    queue, rate_limiter = HangingQueue(), RateLimiter(100)
    dispatcher = Dispatcher([queue], lambda: rate_limiter, clock)
    await dispatcher.run()
    last = dispatcher.last_poll
    assert last is not None
    queue.hangs = True
    hanging = asyncio.create_task(dispatcher.run())
    await asyncio.sleep(0.01)
    await dispatcher.run()  # the next tick
    assert dispatcher.last_poll == last
    hanging.cancel()


# Counters


async def test_each_delivery_is_counted_by_its_result(bot: Bot) -> None:
    metrics = bot.process.metrics
    await bot.subscribe(CHANNEL)
    await bot.tick(SLOT + timedelta(seconds=3))
    assert (metrics.results, metrics.lateness) == (["sent"], [timedelta(seconds=3)])
    bot.sender.before += [RetryableError("not now"), PermanentError("no")]
    await bot.weeks(1)
    await bot.tick(minutes=1)
    assert metrics.results == ["sent", "retried", "blocked"]
    bot.sender.nonce = timedelta()  # the next attempt is a look-up
    bot.sender.after.append(AmbiguousError("cut"))
    bot.sender.finding.append(HistoryUnreadableError("no"))
    await bot.tick((await bot.subscription()).next_slot.instant)
    await bot.tick(minutes=2)
    assert metrics.results[3:] == ["retried", "unverified"]
    await bot.tick((await bot.subscription()).next_slot.instant + timedelta(hours=30))
    assert metrics.results[5:] == ["missed"]


async def test_a_manual_post_has_no_lateness(bot: Bot) -> None:
    await bot.subscribe(CHANNEL)
    await bot.post_now()
    assert (bot.process.metrics.results, bot.process.metrics.lateness) == (["sent"], [])


def samples(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_events_are_counted_in_the_metrics() -> None:
    metrics = Metrics()
    metrics.posted(timedelta(seconds=42))
    metrics.posted(None)
    metrics.posted(timedelta(seconds=-1))
    metrics.ended("missed")
    metrics.retried()
    metrics.requested(200, True)
    metrics.requested(None, False)
    metrics.reconnected(resumed=True)
    metrics.looked_up("flask")
    metrics.looked_up(None)
    metrics.autocompleted(0.02)
    shown = samples(metrics)
    expected = {
        'weekbot_deliveries_total{result="sent"}': 3,
        'weekbot_deliveries_total{result="missed"}': 1,
        'weekbot_deliveries_total{result="blocked"}': 0,
        "weekbot_delivery_retries_total": 1,
        "weekbot_delivery_lateness_seconds_count": 2,
        "weekbot_delivery_lateness_seconds_sum": 42,
        'weekbot_delivery_lateness_seconds_bucket{le="30.0"}': 1,
        'weekbot_delivery_lateness_seconds_bucket{le="60.0"}': 2,
        'weekbot_discord_requests_total{kind="paced",status="200"}': 1,
        'weekbot_discord_requests_total{kind="answer",status="none"}': 1,
        'weekbot_gateway_reconnects_total{session="resumed"}': 1,
        'weekbot_gateway_reconnects_total{session="new"}': 0,
        'weekbot_lookups_total{framework="flask",result="hit"}': 1,
        'weekbot_lookups_total{framework="unknown",result="miss"}': 1,
        "weekbot_autocomplete_duration_seconds_count": 1,
    }
    assert {name: shown.get(name) for name in expected} == expected


# Over HTTP


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def serving(metrics: Metrics, readiness: Readiness) -> AsyncIterator[Callable[[str], Any]]:
    port = free_port()
    async with serve_health(metrics, readiness, port), aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session.get
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_ready_is_200_or_503_with_each_condition(parts: Parts) -> None:
    async with serving(Metrics(), parts.readiness) as get:
        async with get("/ready") as answer:
            body = await answer.json()
            assert (answer.status, body["ready"]) == (200, True)
            assert all(each["met"] and each["says"].endswith(".") for each in body["conditions"].values())
        parts.unconnected = [0]
        async with get("/ready") as answer:
            body = await answer.json()
        assert (answer.status, body["ready"]) == (503, False)
        assert body["conditions"]["gateway"] == {
            "met": False,
            "says": "Not connected to Discord's gateway: shard 0. It reconnects automatically.",
        }


async def test_live_is_200_even_if_it_is_not_ready_and_the_database_hangs(parts: Parts) -> None:
    parts.unconnected = None
    parts.responds.clear()
    async with serving(Metrics(), parts.readiness) as get, get("/live") as answer:
        assert (answer.status, await answer.json()) == (200, {"live": True})
    assert parts.queries == 0


async def test_a_hanging_database_delays_neither_ready_nor_metrics(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weekbot.ops.readiness.PATIENCE_SECONDS", 0.01)
    parts.responds.clear()
    async with serving(Metrics(), parts.readiness) as get:
        async with get("/ready") as answer:
            assert answer.status == 503
            assert "did not answer within" in (await answer.json())["conditions"]["database"]["says"]
        async with get("/metrics") as answer:
            text = await answer.text()
    assert "weekbot_deliveries_due NaN" in text
    assert 'weekbot_ready_condition{condition="database"} 0.0' in text


async def test_prometheus_reads_the_metrics_at_the_port(parts: Parts) -> None:
    metrics = Metrics()
    metrics.supplied(7, 20)
    parts.found = Backlog(3, 2, parts.clock.now() - timedelta(minutes=1))
    async with serving(metrics, parts.readiness) as get, get("/metrics") as answer:
        assert (answer.status, answer.content_type) == (200, "text/plain")
    shown = samples(metrics)
    assert shown["weekbot_subscriptions_short_of_topics"] == 7
    assert shown["weekbot_subscriptions"] == 20
    assert [shown[f"weekbot_deliveries_{name}"] for name in ("due", "pending", "longest_wait_seconds")] == [3, 2, 60]
    assert shown['weekbot_ready_condition{condition="gateway"}'] == 1


async def test_without_a_port_nothing_is_raw_connections(parts: Parts) -> None:
    async with serve_health(Metrics(), parts.readiness, None):
        pass


async def test_a_port_in_use_is_a_one_sentence_error(parts: Parts) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104 - the server listens there
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(WeekbotError, match=f"WEEKBOT_HEALTH_PORT {port} cannot be used"):
            async with serve_health(Metrics(), parts.readiness, port):
                pass


# The connection limit

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def raw_connections(
    metrics: Metrics, readiness: Readiness
) -> AsyncIterator[Callable[[bytes], Awaitable[Stream]]]:
    """Serve, and yield a function that connects and sends bytes."""
    port, opened = free_port(), []

    async def connect(sent: bytes = b"") -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        writer.write(sent)
        return reader, writer

    async with serve_health(metrics, readiness, port):
        yield connect
        for writer in opened:
            writer.transport.abort()


async def read_all(stream: Stream) -> bytes:
    """Return the bytes that arrive until the connection is closed."""
    received = b""
    with suppress(ConnectionResetError):
        while chunk := await stream[0].read(1 << 16):
            received += chunk
    return received


READY = b"GET /ready HTTP/1.1\r\nHost: here\r\n\r\n"


async def test_a_new_connection_replaces_the_oldest_idle_one(parts: Parts) -> None:
    async with raw_connections(Metrics(), parts.readiness) as connect:
        idle = [await connect(b"") for _ in range(3 * MOST_CONNECTIONS)]
        assert (await read_all(await connect(READY))).startswith(b"HTTP/1.1 200")
        assert [await read_all(each) for each in idle[: 2 * MOST_CONNECTIONS]] == [b""] * 2 * MOST_CONNECTIONS


async def test_a_connection_with_a_pending_response_is_kept(parts: Parts) -> None:
    parts.responds.clear()
    async with raw_connections(Metrics(), parts.readiness) as connect:
        request = await connect(READY)
        while not parts.queries:  # noqa: ASYNC110 - the request is on its way
            await asyncio.sleep(0)
        for _ in range(3 * MOST_CONNECTIONS):
            await connect(b"")
        parts.responds.set()
        assert (await read_all(request)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", [b"ready", b"nothing"])
async def test_a_response_closes_its_connection(parts: Parts, path: bytes) -> None:
    async with raw_connections(Metrics(), parts.readiness) as connect:
        assert b"Connection: close" in await read_all(await connect(READY.replace(b"ready", path)))


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /ready HTTP/1.1\r\nHost: here\r\nX-Slow: ",
        b"POST /ready HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n{",
        b"GET /ready HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n{",
    ],
    ids=["nothing", "slow headers", "a slow body", "a slow body of a GET"],
)
async def test_a_slow_client_is_cut_off(parts: Parts, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weekbot.ops.health.LONGEST_SECONDS", 0.2)
    async with (
        raw_connections(Metrics(), parts.readiness) as connect,
        asyncio.timeout(9),
    ):  # earlier than aiohttp's own timeout
        await read_all(await connect(sent))


async def test_a_client_that_does_not_read_its_response_is_cut_off(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weekbot.ops.health.LONGEST_SECONDS", 0.2)
    metrics, much = Metrics(), b"much " * 10_000_000
    monkeypatch.setattr(metrics, "text", lambda: much)
    async with raw_connections(metrics, parts.readiness) as connect:
        slow = await connect(READY.replace(b"ready", b"metrics"))
        slow[0]._transport.pause_reading()  # type: ignore[attr-defined]
        await read_all(await connect(b""))  # by then the first one has timed out, too
        slow[0]._transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await read_all(slow)) < len(much)
