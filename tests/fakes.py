"""Stand-ins for time and Discord, small enough to be read at a glance."""

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

CHANGES = {  # how many rows were changed so far: ever by this connection, or in this transaction
    "sqlite": text("SELECT total_changes()"),
    "postgresql": text("SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_xact_user_tables"),
}

GUILD, CHANNEL, OTHER = 1, 11, 12
SLOT = MONDAY + timedelta(hours=1)
SLUGS = ("flask", "django", "dash", "numpy")

T = TypeVar("T")


@dataclass
class FakeClock:
    """Stands still until it is moved; a sleep moves it."""

    instant: datetime = MONDAY

    def now(self) -> datetime:
        return self.instant

    async def sleep(self, duration: timedelta) -> None:
        self.instant += duration
        await asyncio.sleep(0)

    def move(self, **by: float) -> None:
        self.instant += timedelta(**by)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that moves its clock to the next timer instead of waiting for it; `late` in seconds."""

    def __init__(self, late: float = 0) -> None:
        self.moment = 1000.0
        super().__init__(_Selector(self._wait, late))

    def time(self) -> float:
        return self.moment

    def _wait(self, seconds: float) -> None:
        # Real time passes between two looks at the clock, however little.
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
    """Do the work on a simulated loop, all of whose timers wake `late` seconds after their time."""
    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(late)) as runner:
        return runner.run(work)


class Death:
    """The cancel_and_wait of a process: what reaches it does not return, and nothing of it is recorded."""

    def __init__(self) -> None:
        self._come = asyncio.Event()

    async def come(self) -> NoReturn:
        self._come.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes the dead")

    async def cuts_short(self, work: Coroutine[Any, Any, object]) -> bool:
        """Whether death came before the work was done."""
        self._come.clear()
        death, working = asyncio.create_task(self._come.wait()), asyncio.create_task(work)
        await asyncio.wait({death, working}, return_when=asyncio.FIRST_COMPLETED)
        if death.done():
            return True
        death.cancel()
        await working
        return False


@dataclass
class FakeSender:
    """A Discord of one list of posts.

    `before` holds errors that are raised instead of posting, `after` errors that are raised although it was posted,
    `finding`, `reading` and `following` those of look-ups and steps; each is used up in turn, None being none. weekbot
    dies at the sends numbered in `dies_before` and `dies_after`, from 1: before or after the post stands in the
    channel. Channels in `closed` refuse every post.
    """

    posts: list[tuple[str, int, str]] = field(default_factory=list)
    steps: list[tuple[StepName, str]] = field(default_factory=list)
    before: list[Exception | None] = field(default_factory=list)
    after: list[Exception | None] = field(default_factory=list)
    finding: list[Exception | None] = field(default_factory=list)
    reading: list[Exception | None] = field(default_factory=list)
    following: list[Exception | None] = field(default_factory=list)
    dies_before: set[int] = field(default_factory=set)
    dies_after: set[int] = field(default_factory=set)
    death: Death = field(default_factory=Death)
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
    _stands: list[Post] = field(default_factory=list)

    def nonce_known(self, delivery: Delivery) -> timedelta:
        return self.nonce

    async def send(self, delivery: Delivery, topic: Topic) -> SentMessage:
        check_deadline()
        self.sends += 1
        number = self.sends
        if number in self.dies_before:
            await self.death.come()
        _raise_next(self.before)
        if delivery.subscription.channel_id in self.closed:
            raise PermanentError("weekbot cannot see the channel")
        if delivery.id not in self._sent or self.forgetful:
            channel_id = delivery.subscription.channel_id
            self._sent[delivery.id] = SentMessage(next(self._ids), channel_id, form=PostForm.COMPONENTS), delivery
            self.posts.append((delivery.id, channel_id, topic.slug))
            sent = self._sent[delivery.id][0]
            self._stands.append(Post(delivery.id, topic.slug, sent.message_id, channel_id, self.now()))
            self._more.set()
        if number in self.dies_after:
            await self.death.come()
        _raise_next(self.after)
        return self._sent[delivery.id][0]

    async def find(self, delivery: Delivery, since: datetime, cursor: str | None) -> HistoryPage:
        self.look_ups += 1
        _raise_next(self.finding)
        return HistoryPage([post for post in self._stands if post.delivery_id == delivery.id])

    def is_quiet(self, subscription: Subscription, since: datetime) -> bool:
        here = [post for post in self._stands if post.channel_id == subscription.channel_id]
        return self.quiet and all(post.at < since for post in here)

    async def posts_in(self, subscription: Subscription, since: datetime, cursor: str | None) -> HistoryPage:
        self.read.append(subscription.channel_id)
        _raise_next(self.reading)
        here = [post for post in self._stands if post.channel_id == subscription.channel_id]
        return HistoryPage([post for post in here if post.at >= since])

    async def follow_up(self, step: StepName, delivery: Delivery, topic: Topic | None) -> None:
        _raise_next(self.following)
        self.steps.append((step, delivery.id))

    def post_elsewhere(self, delivery_id: str, topic: str, channel_id: int = CHANNEL) -> int:
        """Let a process with another ledger post; the message's id."""
        sent = SentMessage(next(self._ids), channel_id, topic=topic, foreign=True)
        delivery: Any = None
        self._sent[delivery_id] = sent, delivery
        self.posts.append((delivery_id, channel_id, topic))
        self._stands.append(Post(delivery_id, topic, sent.message_id, channel_id, self.now()))
        return sent.message_id

    def forget_nonces(self) -> None:
        """As Discord does after a few minutes: from now on the same delivery sent again is a second post."""
        self.forgetful = True

    async def posted(self, count: int) -> None:
        """Return when so many posts stand."""
        while len(self.posts) < count:
            self._more.clear()
            await self._more.wait()

    def topics(self, channel_id: int) -> list[str]:
        """The slugs posted in the channel, in order."""
        return [slug for _, channel, slug in self.posts if channel == channel_id]


@dataclass
class FakeBoard:
    """A notices channel: what was told of which channel.

    `before` holds errors that are raised instead of telling, `after` errors that are raised although it was told; each
    is used up in turn, None being none. The same nonce is told once.
    """

    told: list[tuple[int, str]] = field(default_factory=list)
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
            self.told.append((subscription.channel_id, text))
        _raise_next(self.after)

    def forget_nonces(self) -> None:
        """As Discord does after a few minutes: from now on the same notice sent again is told twice."""
        self._nonces.clear()


@dataclass
class FakeInspection:
    """What is wrong with which channel; the servers in `unavailable` have an outage, channels in `failing` a bug."""

    problems: dict[int, str] = field(default_factory=dict)
    unavailable: set[int] = field(default_factory=set)
    failing: set[int] = field(default_factory=set)
    looks: list[int] = field(default_factory=list)

    async def __call__(self, subscription: Subscription) -> str | None:
        self.looks.append(subscription.channel_id)
        if subscription.guild_id in self.unavailable:
            raise RetryableError("the server is unavailable")
        if subscription.channel_id in self.failing:
            raise ZeroDivisionError("unexpected")
        return self.problems.get(subscription.channel_id)


class MortalDatabase(Database):
    """weekbot dies before or after the commit of a transaction, numbered among those that change something.

    They are counted from 1 since `die` was called.
    """

    def __init__(self, url: str, death: Death) -> None:
        super().__init__(url)
        self.changes = 0
        self._death = death
        self._dies_before = self._dies_after = 0
        self._ended = False
        self._open = 0
        self._at_rest = asyncio.Event()

    def die(self, before: int = 0, after: int = 0) -> None:
        self.changes, self._dies_before, self._dies_after = 0, before, after

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._kept_open(), super().read() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self._kept_open(), super().write() as connection:
            before = await connection.scalar(CHANGES[connection.dialect.name])
            yield connection
            number = 0
            if await connection.scalar(CHANGES[connection.dialect.name]) != before:
                number = self.changes = self.changes + 1
            if number and number == self._dies_before:
                await connection.rollback()
        if number and number in (self._dies_before, self._dies_after):
            await self._death.come()

    async def end(self) -> None:
        """Begin no more transactions, and return when none is open: a cancelled one may keep the file locked."""
        self._ended = True
        self._at_rest.clear()
        if self._open:
            await self._at_rest.wait()

    @asynccontextmanager
    async def _kept_open(self) -> AsyncIterator[None]:
        if self._ended:
            await asyncio.Event().wait()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._at_rest.set()


@dataclass
class FakeAccount:
    """What became of deliveries, in order, and how late the posts of slots were."""

    results: list[str] = field(default_factory=list)
    lateness: list[timedelta] = field(default_factory=list)

    def posted(self, lateness: timedelta | None) -> None:
        self.results.append("sent")
        self.lateness += [lateness] if lateness is not None else []

    def ended(self, result: str) -> None:
        self.results.append(result)

    def retried(self) -> None:
        self.results.append("retried")


async def believed(_guild_id: int) -> bool:
    """A server that is recorded as left was left."""
    return True


class Process:
    """weekbot's delivery over a database; a restart leaves it nothing else.

    Where it does not send, that is left to another process.
    """

    def __init__(
        self,
        url: str,
        library: Callable[[], Library],
        sender: Sender,
        clock: Clock,
        catch_up: timedelta = timedelta(hours=24),
        requests_per_second: float = 10_000,
        death: Death | None = None,
        *,
        sends: bool = True,
    ) -> None:
        self.is_leader = sends
        self._death = death or Death()
        self._url = url
        self._library = library
        self._sender = sender
        self._clock = clock
        self._catch_up = catch_up
        self._requests_per_second = requests_per_second
        self.board = FakeBoard()
        self.inspection = FakeInspection()
        self.account = FakeAccount()
        self._start()

    def _start(self) -> None:
        self.database = MortalDatabase(self._url, self._death)
        self.subscriptions = Subscriptions(self.database)
        self.guilds = Guilds(self.database)
        self.token_users = TokenUsers(Metadata(self.database), self._clock)
        rate = RateLimiter(self._requests_per_second)
        delivery = DeliveryParts(
            Stores(self.database, self.database, self.subscriptions),
            DiscordPorts(self._sender, None, self.board, lambda: rate, believed),
            library=self._library,
            clock=self._clock,
            catch_up=self._catch_up,
            metrics=self.account,
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
        """Die, with all that is in flight, and start again."""
        await self.database.end()
        await asyncio.sleep(0.001)  # so that all tasks have begun: what never began complains
        in_flight = asyncio.all_tasks() - {asyncio.current_task()}
        for task in in_flight:
            task.cancel()
        await asyncio.gather(*in_flight, return_exceptions=True)
        await self.close()
        self._start()

    async def close(self) -> None:
        """End what a manual post woke: closing the database under it would leave its connection open."""
        if running := self.dispatcher._run:
            self.dispatcher._stopping.set()
            await asyncio.wait({running, *self.dispatcher._in_flight}, timeout=1)  # rather than cancel a query halfway
            await cancel_and_wait(running, *self.dispatcher._in_flight)
        await self.database.close()


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


class Bot:
    """weekbot over a database, its server's moderator, and what its channels show."""

    def __init__(self, url: str, library: Library, clock: FakeClock, sender: FakeSender | None = None) -> None:
        self.url = url
        self.clock = clock
        self.sender = sender or FakeSender()
        self.sender.now = clock.now
        self.shelf = Shelf(library)
        self.process = self.another(self.sender)

    def another(
        self, sender: Sender, clock: Clock | None = None, requests_per_second: float = 10_000, *, sends: bool = True
    ) -> Process:
        """One more process over the same database."""
        return Process(
            self.url,
            lambda: self.shelf.current,
            sender,
            clock or self.clock,
            requests_per_second=requests_per_second,
            death=self.sender.death,
            sends=sends,
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
        """Run once at that instant, or that much later."""
        self.clock.instant = (at or self.clock.instant) + timedelta(**after)
        await self.process.dispatcher.run()

    async def ticks(self, until: datetime) -> None:
        """Run each minute until then, leaving out those minutes in which there is nothing to do."""
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
        """Run at each of the coming weeks' slots of the channel."""
        for _ in range(count):
            await self.tick((await self.subscription(channel_id)).next_slot.instant)

    async def tick_and_die(self, at: datetime) -> None:
        """Run at that instant, die within, and start again."""
        self.clock.instant = at
        assert await self.sender.death.cuts_short(self.process.dispatcher.run())
        await self.process.restart()

    async def post_now(self) -> Delivery | None:
        return await self._by_hand(self.process.manual.post)

    async def skip(self) -> Delivery | None:
        return await self._by_hand(self.process.manual.skip)

    async def _by_hand(self, act: Callable[[Subscription, str | None], Awaitable[Manual | None]]) -> Delivery | None:
        """Use the command; if that was a repetition, press the button that does it once more."""
        subscription = await self.subscription()
        manual = await act(subscription, None)
        if manual and manual.repeated:
            had = await self.process.deliveries.used_topics(subscription)
            manual = await act(subscription, coming_topic(self.shelf.current, subscription, had).topic)
        return manual.delivery if manual else None

    def topics(self, channel_id: int = CHANNEL) -> list[str]:
        return self.sender.topics(channel_id)

    def channels(self) -> list[int]:
        """The channels that posts stand in, one for each post."""
        return sorted(channel_id for _, channel_id, _ in self.sender.posts)

    def step_names(self) -> list[StepName]:
        return [name for name, _ in self.sender.steps]


def _raise_next(errors: list[Exception | None]) -> None:
    error = errors.pop(0) if errors else None
    if error:
        raise error
