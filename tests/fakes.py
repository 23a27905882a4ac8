"""Fakes for time, Discord and processes."""

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.content.tracks import Track
from weekbot.db.database import Database
from weekbot.delivery.assembly import DeliveryParts, DiscordPorts, Stores
from weekbot.delivery.deadline import check_deadline
from weekbot.delivery.errors import PermanentError, RetryableError
from weekbot.delivery.manual import Manual
from weekbot.delivery.ports import HistoryPage, Sender, SentMessage
from weekbot.delivery.preflight import Preflight
from weekbot.delivery.token_users import TokenUsers
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import Delivery, PostForm, State
from weekbot.domain.planning import coming_topic
from weekbot.domain.reconciliations import Post
from weekbot.domain.steps import StepName
from weekbot.domain.subscription_rules import Choices
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.clock import Clock
from weekbot.runtime.tasks import cancel_and_wait
from weekbot.store.guilds import Guilds
from weekbot.store.metadata import Metadata
from weekbot.store.subscriptions import Subscriptions

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
"""A Monday morning, an hour before the default slot."""

CHANGES = {  # the number of changed rows: of the connection, or of the transaction
    "sqlite": text("SELECT total_changes()"),
    "postgresql": text("SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_xact_user_tables"),
}

GUILD, CHANNEL, OTHER = 1, 11, 12
SLOT = MONDAY + timedelta(hours=1)
SLUGS = ("flask", "django", "dash", "numpy")

T = TypeVar("T")


@dataclass
class FakeClock:
    """A clock that only tests and sleeps advance."""

    instant: datetime = MONDAY

    def now(self) -> datetime:
        return self.instant

    async def sleep(self, duration: timedelta) -> None:
        self.instant += duration
        await asyncio.sleep(0)

    def move(self, **by: float) -> None:
        self.instant += timedelta(**by)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that skips to its next timer instead of waiting; timers fire `late` seconds too late."""

    def __init__(self, late: float = 0) -> None:
        self.moment = 1000.0
        super().__init__(_Selector(self._wait, late))

    def time(self) -> float:
        return self.moment

    def _wait(self, seconds: float) -> None:
        # The time differs between any two readings of the clock.
        self.moment += max(seconds, 1e-7)


class _Selector(selectors.SelectSelector):
    def __init__(self, wait: Callable[[float], None], late: float) -> None:
        super().__init__()
        self._wait = wait
        self._late = late

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self._wait(timeout + self._late if timeout else 0)
        return ready


def simulated(work: Coroutine[Any, Any, T], late: float = 0) -> T:
    """Run the work on a simulated loop, whose timers fire `late` seconds too late."""
    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(late)) as runner:
        return runner.run(work)


class Crash:
    """The crash of a process: a call that reaches it never returns, and records nothing."""

    def __init__(self) -> None:
        self._happened = asyncio.Event()

    async def happen(self) -> NoReturn:
        self._happened.set()
        await asyncio.Event().wait()
        raise AssertionError("a crashed process continued")

    async def interrupts(self, work: Coroutine[Any, Any, object]) -> bool:
        """Run the work, and return whether the process crashed before its end."""
        self._happened.clear()
        crash, working = asyncio.create_task(self._happened.wait()), asyncio.create_task(work)
        await asyncio.wait({crash, working}, return_when=asyncio.FIRST_COMPLETED)
        if crash.done():
            return True
        crash.cancel()
        await working
        return False


@dataclass
class FakeSender:
    """A sender that keeps its posts in a list.

    Errors in `before` are raised instead of posting, those in `after` after posting, and those in `finding`, `reading`
    and `following` by look-ups and steps. Each call uses the next item; None means no error. weekbot crashes before or
    after the sends whose numbers, from 1, are in `crashes_before` and `crashes_after`. Channels in `closed` refuse
    every post.
    """

    posts: list[tuple[str, int, str]] = field(default_factory=list)
    steps: list[tuple[StepName, str]] = field(default_factory=list)
    before: list[Exception | None] = field(default_factory=list)
    after: list[Exception | None] = field(default_factory=list)
    finding: list[Exception | None] = field(default_factory=list)
    reading: list[Exception | None] = field(default_factory=list)
    following: list[Exception | None] = field(default_factory=list)
    crashes_before: set[int] = field(default_factory=set)
    crashes_after: set[int] = field(default_factory=set)
    crash: Crash = field(default_factory=Crash)
    closed: set[int] = field(default_factory=set)
    nonce: timedelta = timedelta(minutes=2)
    forgetful: bool = False
    quiet: bool = True
    sends: int = 0
    look_ups: int = 0
    read: list[int] = field(default_factory=list)
    now: Callable[[], datetime] = lambda: MONDAY
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _ids: Iterator[int] = field(default_factory=lambda: iter(range(1000, 10**9)))
    _sent: dict[str, tuple[SentMessage, Delivery]] = field(default_factory=dict)
    _history: list[Post] = field(default_factory=list)

    def nonce_known(self, delivery: Delivery) -> timedelta:
        return self.nonce

    async def send(self, delivery: Delivery, topic: Topic) -> SentMessage:
        check_deadline()
        self.sends += 1
        number = self.sends
        if number in self.crashes_before:
            await self.crash.happen()
        _raise_next(self.before)
        if delivery.subscription.channel_id in self.closed:
            raise PermanentError("weekbot cannot see the channel")
        if delivery.id not in self._sent or self.forgetful:
            channel_id = delivery.subscription.channel_id
            self._sent[delivery.id] = SentMessage(next(self._ids), channel_id, form=PostForm.COMPONENTS), delivery
            self.posts.append((delivery.id, channel_id, topic.slug))
            sent = self._sent[delivery.id][0]
            self._history.append(Post(delivery.id, topic.slug, sent.message_id, channel_id, self.now()))
            self._more.set()
        if number in self.crashes_after:
            await self.crash.happen()
        _raise_next(self.after)
        return self._sent[delivery.id][0]

    async def find(self, delivery: Delivery, since: datetime, cursor: str | None) -> HistoryPage:
        self.look_ups += 1
        _raise_next(self.finding)
        return HistoryPage([post for post in self._history if post.delivery_id == delivery.id])

    def is_quiet(self, subscription: Subscription, since: datetime) -> bool:
        here = [post for post in self._history if post.channel_id == subscription.channel_id]
        return self.quiet and all(post.at < since for post in here)

    async def posts_in(self, subscription: Subscription, since: datetime, cursor: str | None) -> HistoryPage:
        self.read.append(subscription.channel_id)
        _raise_next(self.reading)
        here = [post for post in self._history if post.channel_id == subscription.channel_id]
        return HistoryPage([post for post in here if post.at >= since])

    async def follow_up(self, step: StepName, delivery: Delivery, topic: Topic | None) -> None:
        _raise_next(self.following)
        self.steps.append((step, delivery.id))

    def post_elsewhere(self, delivery_id: str, topic: str, channel_id: int = CHANNEL) -> int:
        """Post as a process with another database would, and return the message's id."""
        sent = SentMessage(next(self._ids), channel_id, topic=topic, foreign=True)
        delivery: Any = None
        self._sent[delivery_id] = sent, delivery
        self.posts.append((delivery_id, channel_id, topic))
        self._history.append(Post(delivery_id, topic, sent.message_id, channel_id, self.now()))
        return sent.message_id

    def forget_nonces(self) -> None:
        """Forget all nonces, as Discord does after a few minutes, so that a repeated delivery is a second post."""
        self.forgetful = True

    async def posted(self, count: int) -> None:
        """Wait until there are `count` posts."""
        while len(self.posts) < count:
            self._more.clear()
            await self._more.wait()

    def topics(self, channel_id: int) -> list[str]:
        """Return the slugs posted in the channel, in order."""
        return [slug for _, channel, slug in self.posts if channel == channel_id]


@dataclass
class FakeNoticeSender:
    """A notice sender that keeps the notices and their subscriptions' channels in a list.

    Errors in `before` are raised instead of sending, those in `after` after sending; each call uses the next item, and
    None means no error. A nonce is sent only once.
    """

    sent: list[tuple[int, str]] = field(default_factory=list)
    before: list[Exception | None] = field(default_factory=list)
    after: list[Exception | None] = field(default_factory=list)
    posts: int = 0
    _nonces: set[str] = field(default_factory=set)

    async def post(self, subscription: Subscription, text: str, nonce: str, public_text: str) -> None:
        check_deadline()
        self.posts += 1
        _raise_next(self.before)
        if nonce not in self._nonces:
            self._nonces.add(nonce)
            self.sent.append((subscription.channel_id, text))
        _raise_next(self.after)

    def forget_nonces(self) -> None:
        """Forget all nonces, as Discord does after a few minutes, so that a repeated notice is sent twice."""
        self._nonces.clear()


@dataclass
class FakeInspection:
    """A channel inspection with `problems` by channel, `unavailable` servers, and channels whose check is `failing`."""

    problems: dict[int, str] = field(default_factory=dict)
    unavailable: set[int] = field(default_factory=set)
    failing: set[int] = field(default_factory=set)
    inspected: list[int] = field(default_factory=list)

    async def __call__(self, subscription: Subscription) -> str | None:
        self.inspected.append(subscription.channel_id)
        if subscription.guild_id in self.unavailable:
            raise RetryableError("the server is unavailable")
        if subscription.channel_id in self.failing:
            raise ZeroDivisionError("unexpected")
        return self.problems.get(subscription.channel_id)


class CrashingDatabase(Database):
    """A database at which weekbot crashes before or after the commit of a transaction.

    Transactions with changes are numbered from 1 since `crash_at` was called.
    """

    def __init__(self, url: str, crash: Crash) -> None:
        super().__init__(url)
        self.changes = 0
        self._crash = crash
        self._crashes_before = self._crashes_after = 0
        self._ended = False
        self._open = 0
        self._idle = asyncio.Event()

    def crash_at(self, before: int = 0, after: int = 0) -> None:
        self.changes, self._crashes_before, self._crashes_after = 0, before, after

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._tracked_transaction(), super().read() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self._tracked_transaction(), super().write() as connection:
            before = await connection.scalar(CHANGES[connection.dialect.name])
            yield connection
            number = 0
            if await connection.scalar(CHANGES[connection.dialect.name]) != before:
                number = self.changes = self.changes + 1
            if number and number == self._crashes_before:
                await connection.rollback()
        if number and number in (self._crashes_before, self._crashes_after):
            await self._crash.happen()

    async def end(self) -> None:
        """Stop new transactions, and wait until none is open, because a cancelled one may keep the file locked."""
        self._ended = True
        self._idle.clear()
        if self._open:
            await self._idle.wait()

    @asynccontextmanager
    async def _tracked_transaction(self) -> AsyncIterator[None]:
        if self._ended:
            await asyncio.Event().wait()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()


@dataclass
class FakeDeliveryMetrics:
    """The results of deliveries, in order, and the lateness of scheduled posts."""

    results: list[str] = field(default_factory=list)
    lateness: list[timedelta] = field(default_factory=list)

    def posted(self, lateness: timedelta | None) -> None:
        self.results.append("sent")
        self.lateness += [lateness] if lateness is not None else []

    def ended(self, result: str) -> None:
        self.results.append(result)

    def retried(self) -> None:
        self.results.append("retried")


async def has_left(_guild_id: int) -> bool:
    """Confirm that the bot has left a server."""
    return True


class Process:
    """A process with weekbot's delivery; only its database survives a restart.

    Without `is_leader`, another process is the leader.
    """

    def __init__(
        self,
        url: str,
        library: Callable[[], Library],
        sender: Sender,
        clock: Clock,
        catch_up: timedelta = timedelta(hours=24),
        requests_per_second: float = 10_000,
        crash: Crash | None = None,
        *,
        is_leader: bool = True,
    ) -> None:
        self.is_leader = is_leader
        self._crash = crash or Crash()
        self._url = url
        self._library = library
        self._sender = sender
        self._clock = clock
        self._catch_up = catch_up
        self._requests_per_second = requests_per_second
        self.notice_sender = FakeNoticeSender()
        self.inspection = FakeInspection()
        self.metrics = FakeDeliveryMetrics()
        self._start()

    def _start(self) -> None:
        self.database = CrashingDatabase(self._url, self._crash)
        self.subscriptions = Subscriptions(self.database)
        self.guilds = Guilds(self.database)
        self.token_users = TokenUsers(Metadata(self.database), self._clock)
        rate = RateLimiter(self._requests_per_second)
        delivery = DeliveryParts(
            Stores(self.database, self.database, self.subscriptions),
            DiscordPorts(self._sender, None, self.notice_sender, lambda: rate, has_left),
            library=self._library,
            clock=self._clock,
            catch_up=self._catch_up,
            metrics=self.metrics,
            token_users=self.token_users,
            is_leader=lambda: self.is_leader,
        )
        self.deliveries, self.steps, self.notices = delivery.deliveries, delivery.steps, delivery.notices
        self.reconciliations, self.poster = delivery.reconciliations, delivery.poster
        self.verification = delivery.context.verification
        self.refused_topics = delivery.context.refused_topics
        self.dispatcher, self.manual = delivery.dispatcher, delivery.manual
        self.preflight = Preflight(self.subscriptions, self.notices, self.inspection, self._clock)

    async def restart(self) -> None:
        """Crash with everything in flight, and start again."""
        await self.database.end()
        await asyncio.sleep(0.001)  # so that all tasks have started: coroutines that never start cause warnings
        in_flight = asyncio.all_tasks() - {asyncio.current_task()}
        for task in in_flight:
            task.cancel()
        await asyncio.gather(*in_flight, return_exceptions=True)
        await self.close()
        self._start()

    async def close(self) -> None:
        """Stop the dispatcher first, because closing the database under it would leave its connection open."""
        if running := self.dispatcher._run:
            self.dispatcher._stopping.set()
            await asyncio.wait({running, *self.dispatcher._in_flight}, timeout=1)  # rather than cancel a query halfway
            await cancel_and_wait(running, *self.dispatcher._in_flight)
        await self.database.close()


@dataclass
class FakeLiveLibrary:
    """A live library; `put` replaces its topics."""

    full_library: Library
    current: Library = field(init=False)

    def __post_init__(self) -> None:
        self.put(*SLUGS)

    def put(self, *slugs: str) -> None:
        track = Track(slug="everything", title="Everything", summary="All of it.", topics=slugs)
        self.current = Library([self.full_library.topics[slug] for slug in slugs], [track])


class Bot:
    """weekbot with a database and a fake Discord, the actions of a moderator, and the posts in its channels."""

    def __init__(self, url: str, library: Library, clock: FakeClock, sender: FakeSender | None = None) -> None:
        self.url = url
        self.clock = clock
        self.sender = sender or FakeSender()
        self.sender.now = clock.now
        self.live_library = FakeLiveLibrary(library)
        self.process = self.another_process(self.sender)

    def another_process(
        self, sender: Sender, clock: Clock | None = None, requests_per_second: float = 10_000, *, is_leader: bool = True
    ) -> Process:
        """Return another process with the same database."""
        return Process(
            self.url,
            lambda: self.live_library.current,
            sender,
            clock or self.clock,
            requests_per_second=requests_per_second,
            crash=self.sender.crash,
            is_leader=is_leader,
        )

    async def subscribe(self, channel_id: int = CHANNEL, guild_id: int = GUILD, **given: Any) -> Subscription:
        def build(current: Subscription | None, guild_timezone: str) -> Subscription:
            return subscription_rules.subscribe(
                current, guild_id, channel_id, guild_timezone, Choices(**given), self.clock.now()
            )

        return (await self.process.subscriptions.put(guild_id, channel_id, build)).after

    async def change(self, change: Callable[[Subscription], Subscription]) -> None:
        assert await self.process.subscriptions.change(CHANNEL, change)

    async def choose(self, topic: str) -> None:
        await self.change(lambda current: subscription_rules.choose(current, topic))

    async def subscription(self, channel_id: int = CHANNEL) -> Subscription:
        found = await self.process.subscriptions.of_channel(channel_id)
        assert found is not None
        return found

    async def last(self, channel_id: int = CHANNEL) -> Delivery:
        subscription = await self.subscription(channel_id)
        return (await self.process.deliveries.last([subscription.id], *State))[subscription.id]

    async def tick(self, at: datetime | None = None, **after: float) -> None:
        """Run a tick at that instant, or after that time."""
        self.clock.instant = (at or self.clock.instant) + timedelta(**after)
        await self.process.dispatcher.run()

    async def tick_until(self, until: datetime) -> None:
        """Run a tick each minute until then, skipping minutes without a due event."""
        while (event := await self._next_event()) <= until:
            await self.tick(max(event, self.clock.now() + timedelta(minutes=1)))
        self.clock.instant = max(until, self.clock.now())

    async def _next_event(self) -> datetime:
        process = self.process
        open_ = (process.deliveries, process.reconciliations, process.steps, process.notices)
        retries = [await each.next_at() for each in open_]
        slots = [each.next_slot.instant for each in await process.subscriptions.of_guild(GUILD)]
        return min([*filter(None, retries), *slots])

    async def weeks(self, count: int, channel_id: int = CHANNEL) -> None:
        """Run a tick at each of the channel's next slots."""
        for _ in range(count):
            await self.tick((await self.subscription(channel_id)).next_slot.instant)

    async def tick_and_crash(self, at: datetime) -> None:
        """Run a tick at that instant, crash in it, and start again."""
        self.clock.instant = at
        assert await self.sender.crash.interrupts(self.process.dispatcher.run())
        await self.process.restart()

    async def post_now(self) -> Delivery | None:
        return await self._deliver_manually(self.process.manual.post)

    async def skip(self) -> Delivery | None:
        return await self._deliver_manually(self.process.manual.skip)

    async def _deliver_manually(
        self, action: Callable[[Subscription, str | None], Awaitable[Manual | None]]
    ) -> Delivery | None:
        """Use the command; if it was a repetition, press the button that repeats it."""
        subscription = await self.subscription()
        manual = await action(subscription, None)
        if manual and manual.repeated:
            used = await self.process.deliveries.used_topics(subscription)
            manual = await action(subscription, coming_topic(self.live_library.current, subscription, used).topic)
        return manual.delivery if manual else None

    def topics(self, channel_id: int = CHANNEL) -> list[str]:
        return self.sender.topics(channel_id)

    def channels(self) -> list[int]:
        """Return the channels of all posts, sorted."""
        return sorted(channel_id for _, channel_id, _ in self.sender.posts)

    def step_names(self) -> list[StepName]:
        return [name for name, _ in self.sender.steps]


def _raise_next(errors: list[Exception | None]) -> None:
    error = errors.pop(0) if errors else None
    if error:
        raise error
