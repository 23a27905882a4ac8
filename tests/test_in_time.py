"""What was held up too long does not leave any more, whatever held it up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import discord
import pytest

from discord_server import Channel, DiscordServer
from fakes import SLOT, Bot, FakeBoard
from test_attempts import told_of
from weekbot.delivery.deadline import from_now, until
from weekbot.delivery.errors import AmbiguousError, RetryableError
from weekbot.delivery.notices import LEASE as NOTICE_LEASE
from weekbot.delivery.posts import ATTEMPT_SECONDS, LEASE
from weekbot.discord_io.http_trace import HttpTrace
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rest_client import use_addresses
from weekbot.domain.deliveries import State
from weekbot.domain.planning import planner

Freeze = Callable[[float], None]


@pytest.fixture
def freeze(monkeypatch: pytest.MonkeyPatch) -> Freeze:
    """As if the process had been frozen so long: the loop's clock has gone on, and no timer has woken anyone yet."""

    def freeze(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time
        monkeypatch.setattr(loop, "time", lambda: before() + seconds)

    return freeze


# A request


class HeldUp(RateLimiter):
    """A pace that gives each request its turn so many seconds late, as the process was frozen meanwhile."""

    def __init__(self, freeze: Freeze) -> None:
        super().__init__(10_000)
        self.seconds: list[float] = []
        self._freeze = freeze

    async def acquire(self) -> None:
        if self.seconds:
            self._freeze(self.seconds.pop(0))


@pytest.fixture
def pace(freeze: Freeze) -> HeldUp:
    return HeldUp(freeze)


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        use_addresses(server.api_url, server.gateway_url)
        yield server


@pytest.fixture
async def client(server: DiscordServer, pace: HeldUp) -> AsyncIterator[discord.Client]:
    async with discord.Client(intents=discord.Intents.none(), http_trace=HttpTrace(lambda: pace).trace()) as client:
        await client.login(server.token)
        yield client


@pytest.fixture
def channel(server: DiscordServer) -> Channel:
    return server.add_guild("Pythonistas").add_text_channel("weekly")


async def send(client: discord.Client, channel: Channel, seconds: float) -> None:
    """Send a message that must not leave later than that."""
    async with until(from_now(seconds)):
        await client.get_partial_messageable(channel.id).send("hello")


async def sent(server: DiscordServer, client: discord.Client) -> int:
    """How many messages have left."""
    await client.application_info()  # by now
    return len(server.sent("POST", "/channels/{channel_id}/messages"))


async def test_a_request_that_has_its_turn_in_time_leaves(
    server: DiscordServer, client: discord.Client, channel: Channel, pace: HeldUp
) -> None:
    pace.seconds = [9]
    await send(client, channel, 10)
    assert await sent(server, client) == 1


async def test_a_request_that_has_its_turn_too_late_never_leaves(
    server: DiscordServer, client: discord.Client, channel: Channel, pace: HeldUp
) -> None:
    pace.seconds = [10.1]
    with pytest.raises(RetryableError, match="held up"):
        await send(client, channel, 10)
    assert await sent(server, client) == 0
    assert channel.messages == {}


async def test_what_is_not_said_to_hurry_may_leave_at_any_time(
    server: DiscordServer, client: discord.Client, channel: Channel, pace: HeldUp
) -> None:
    with pytest.raises(RetryableError, match="held up"):
        await send(client, channel, -1)
    pace.seconds = [20]
    await client.get_partial_messageable(channel.id).send("hello")
    assert await sent(server, client) == 1


# An attempt


def frozen_after(monkeypatch: pytest.MonkeyPatch, store: object, name: str, freeze: Callable[[], None]) -> None:
    """The next call of that method of the store's is followed by a freeze."""
    method: Callable[..., Awaitable[Any]] = getattr(store, name)
    frozen = False

    async def called(*arguments: Any, **options: Any) -> Any:
        nonlocal frozen
        result = await method(*arguments, **options)
        if not frozen:
            frozen = True
            freeze()
        return result

    monkeypatch.setattr(store, name, called)


async def test_what_was_taken_long_ago_is_left_to_the_next_attempt(bot: Bot) -> None:
    await bot.subscribe()
    bot.clock.instant = SLOT
    await bot.process.deliveries.claim_due([await bot.subscription()], planner(bot.shelf.current), SLOT)
    (delivery,) = await bot.process.deliveries.claim(SLOT, LEASE, 1)
    await bot.process.poster.attempt(delivery, from_now(-0.1))

    assert bot.sender.sends == 0
    assert (await bot.last()).retry_at == SLOT + LEASE
    await bot.process.poster.attempt(delivery, from_now(ATTEMPT_SECONDS))
    assert bot.topics() == ["flask"]


async def test_an_attempt_ends_before_its_lease_does() -> None:
    assert from_now(ATTEMPT_SECONDS) < from_now(LEASE.total_seconds())


async def test_who_is_frozen_between_taking_and_sending_sends_nothing(
    bot: Bot, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.subscribe()
    await bot.process.deliveries.claim_due([await bot.subscription()], planner(bot.shelf.current), SLOT)
    frozen_after(monkeypatch, bot.process.deliveries, "claim", lambda: freeze(ATTEMPT_SECONDS + 1))

    await bot.tick(SLOT)

    assert (await bot.last()).attempts == 2  # the first of which sent nothing
    assert bot.clock.now() >= SLOT + LEASE
    assert (bot.sender.sends, bot.topics()) == (1, ["flask"])


async def test_who_is_frozen_between_a_claim_by_hand_and_sending_sends_nothing(
    bot: Bot, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.subscribe()
    frozen_after(monkeypatch, bot.process.deliveries, "claim_now", lambda: freeze(ATTEMPT_SECONDS + 1))

    delivery = await bot.post_now()

    assert delivery is not None
    assert (delivery.state, bot.sender.sends) == (State.PENDING, 0)
    await bot.tick(bot.clock.now() + LEASE)
    assert bot.topics() == ["flask"]


async def test_who_is_frozen_between_a_look_up_and_sending_again_sends_nothing(
    bot: Bot, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.subscribe()
    bot.sender.before = [AmbiguousError("cut")]
    bot.sender.nonce = timedelta()
    frozen_after(monkeypatch, bot.process.deliveries, "begin_again", lambda: freeze(ATTEMPT_SECONDS + 1))

    await bot.tick(SLOT)
    await bot.ticks(SLOT + timedelta(minutes=3))

    assert (await bot.last()).attempts == 3  # one was cut, one looked up and was frozen
    assert bot.sender.look_ups == 1
    assert bot.topics() == ["flask"]


async def test_a_notice_that_was_taken_long_ago_is_left_to_the_next_attempt(
    bot: Bot, board: FakeBoard, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told_of(bot.process.database, await bot.subscribe())
    frozen_after(monkeypatch, bot.process.notices, "claim", lambda: freeze(NOTICE_LEASE.total_seconds()))

    await bot.tick()

    assert len(board.told) == 1
    assert bot.clock.now() > SLOT - timedelta(hours=1)  # it had to be taken once more
