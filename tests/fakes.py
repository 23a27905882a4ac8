"""Stand-ins for time and Discord, small enough to be read at a glance."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from weekbot.clock import Clock
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.delivery.dispatch import Dispatcher
from weekbot.delivery.follow_up import FollowUp
from weekbot.delivery.ports import Sender, Sent
from weekbot.delivery.poster import Poster
from weekbot.store.database import Database
from weekbot.store.deliveries import Deliveries, Delivery
from weekbot.store.steps import StepName, Steps
from weekbot.store.subscriptions import Subscriptions

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
"""A Monday morning, an hour before the default slot."""


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


@dataclass
class FakeSender:
    """A Discord of one list of posts.

    `before` holds errors that are raised instead of posting, `after` errors that are raised although it was posted,
    `finding` and `following` those of look-ups and steps; each is used up in turn, None being none.
    """

    posts: list[tuple[str, int, str]] = field(default_factory=list)
    steps: list[tuple[StepName, str]] = field(default_factory=list)
    before: list[Exception | None] = field(default_factory=list)
    after: list[Exception | None] = field(default_factory=list)
    finding: list[Exception | None] = field(default_factory=list)
    following: list[Exception | None] = field(default_factory=list)
    nonce: timedelta = timedelta(minutes=2)
    sends: int = 0
    look_ups: int = 0
    _ids: Iterator[int] = field(default_factory=lambda: iter(range(1000, 10**9)))
    _sent: dict[str, tuple[Sent, Delivery]] = field(default_factory=dict)

    def nonce_known(self, delivery: Delivery) -> timedelta:
        return self.nonce

    async def send(self, delivery: Delivery, topic: Topic) -> Sent:
        self.sends += 1
        _raise_next(self.before)
        if delivery.id not in self._sent or not self.nonce:
            channel_id = delivery.subscription.channel_id
            self._sent[delivery.id] = Sent(next(self._ids), channel_id), delivery
            self.posts.append((delivery.id, channel_id, topic.slug))
        _raise_next(self.after)
        return self._sent[delivery.id][0]

    async def find(self, delivery: Delivery) -> Sent | None:
        self.look_ups += 1
        _raise_next(self.finding)
        found = self._sent.get(delivery.id)
        return found[0] if found else None

    async def follow_up(self, step: StepName, delivery: Delivery, topic: Topic | None) -> None:
        _raise_next(self.following)
        self.steps.append((step, delivery.id))

    def forget_nonces(self) -> None:
        """As Discord does after a few minutes: from now on the same delivery sent again is a second post."""
        self.nonce = timedelta()

    def topics(self, channel_id: int) -> list[str]:
        """The slugs posted in the channel, in order."""
        return [slug for _, channel, slug in self.posts if channel == channel_id]


class Process:
    """weekbot's delivery over a database file; a restart leaves it nothing but the file."""

    def __init__(
        self,
        file: Path,
        library: Callable[[], Library],
        sender: Sender,
        clock: Clock,
        catch_up: timedelta = timedelta(hours=24),
    ) -> None:
        self._file = file
        self._library = library
        self._sender = sender
        self._clock = clock
        self._catch_up = catch_up
        self._start()

    def _start(self) -> None:
        self.database = Database(f"sqlite:///{self._file}")
        self.subscriptions = Subscriptions(self.database)
        self.deliveries = Deliveries(self.database)
        self.steps = Steps(self.database)
        poster = Poster(self._library, self.deliveries, self._sender, self._clock, self._catch_up)
        follow_up = FollowUp(self._library, self.steps, self._sender, self._clock, self._catch_up)
        self.dispatcher = Dispatcher(
            self._library,
            self.subscriptions,
            self.deliveries,
            self.steps,
            poster,
            follow_up,
            self._clock,
            self._catch_up,
        )

    async def restart(self) -> None:
        """Die, with all that is in flight, and start again."""
        in_flight = asyncio.all_tasks() - {asyncio.current_task()}
        for task in in_flight:
            task.cancel()
        await asyncio.gather(*in_flight, return_exceptions=True)
        await self.close()
        self._start()

    async def close(self) -> None:
        await self.database.close()


def _raise_next(errors: list[Exception | None]) -> None:
    error = errors.pop(0) if errors else None
    if error:
        raise error
