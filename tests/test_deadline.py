"""Requests aren't sent after their deadline, whatever delayed them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import discord
import pytest

from discord_server import Channel, DiscordServer
from fakes import SLOT, Bot, FakeNoticeSender
from test_attempts import told_of
from weekbot.delivery.deadline import deadline_at, from_now
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
    """Simulate a frozen process: the loop's clock has advanced, but no timer has fired yet."""

    def freeze(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time
        monkeypatch.setattr(loop, "time", lambda: before() + seconds)

    return freeze


# A request


class DelayingRateLimiter(RateLimiter):
    """Freezes the process for the next number of `seconds` while a request waits."""

    def __init__(self, freeze: Freeze) -> None:
        super().__init__(10_000)
        self.seconds: list[float] = []
        self._freeze = freeze

    async def acquire(self) -> None:
        if self.seconds:
            self._freeze(self.seconds.pop(0))


@pytest.fixture
def rate_limiter(freeze: Freeze) -> DelayingRateLimiter:
    return DelayingRateLimiter(freeze)


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        use_addresses(server.api_url, server.gateway_url)
        yield server


@pytest.fixture
async def client(server: DiscordServer, rate_limiter: DelayingRateLimiter) -> AsyncIterator[discord.Client]:
    async with discord.Client(
        intents=discord.Intents.none(), http_trace=HttpTrace(lambda: rate_limiter).config()
    ) as client:
        await client.login(server.token)
        yield client


@pytest.fixture
def channel(server: DiscordServer) -> Channel:
    return server.add_guild("Pythonistas").add_text_channel("weekly")


async def send(client: discord.Client, channel: Channel, seconds: float) -> None:
    """Send a message with a deadline."""
    async with deadline_at(from_now(seconds)):
        await client.get_partial_messageable(channel.id).send("hello")


async def sent(server: DiscordServer, client: discord.Client) -> int:
    """Return the number of messages sent."""
    await client.application_info()  # all previous requests are counted
    return len(server.sent("POST", "/channels/{channel_id}/messages"))


async def test_a_request_is_sent_before_its_deadline(
    server: DiscordServer, client: discord.Client, channel: Channel, rate_limiter: DelayingRateLimiter
) -> None:
    rate_limiter.seconds = [9]
    await send(client, channel, 10)
    assert await sent(server, client) == 1


async def test_a_request_is_not_sent_after_its_deadline(
    server: DiscordServer, client: discord.Client, channel: Channel, rate_limiter: DelayingRateLimiter
) -> None:
    rate_limiter.seconds = [10.1]
    with pytest.raises(RetryableError, match="held up"):
        await send(client, channel, 10)
    assert await sent(server, client) == 0
    assert channel.messages == {}


async def test_a_request_without_a_deadline_is_sent_at_any_time(
    server: DiscordServer, client: discord.Client, channel: Channel, rate_limiter: DelayingRateLimiter
) -> None:
    with pytest.raises(RetryableError, match="held up"):
        await send(client, channel, -1)
    rate_limiter.seconds = [20]
    await client.get_partial_messageable(channel.id).send("hello")
    assert await sent(server, client) == 1


# An attempt


def frozen_after(monkeypatch: pytest.MonkeyPatch, store: object, name: str, freeze: Callable[[], None]) -> None:
    """Freeze the process after the next call of that method of the store."""
    method: Callable[..., Awaitable[Any]] = getattr(store, name)
    frozen = False

    async def call_and_freeze(*arguments: Any, **options: Any) -> Any:
        nonlocal frozen
        result = await method(*arguments, **options)
        if not frozen:
            frozen = True
            freeze()
        return result

    monkeypatch.setattr(store, name, call_and_freeze)


async def test_an_attempt_after_its_deadline_sends_nothing(bot: Bot) -> None:
    await bot.subscribe()
    bot.clock.instant = SLOT
    await bot.process.deliveries.claim_due([await bot.subscription()], planner(bot.live_library.current), SLOT)
    (delivery,) = await bot.process.deliveries.claim(SLOT, LEASE, 1)
    await bot.process.poster.attempt(delivery, from_now(-0.1))

    assert bot.sender.sends == 0
    assert (await bot.last()).retry_at == SLOT + LEASE
    await bot.process.poster.attempt(delivery, from_now(ATTEMPT_SECONDS))
    assert bot.topics() == ["flask"]


async def test_an_attempt_ends_before_its_lease_does() -> None:
    assert from_now(ATTEMPT_SECONDS) < from_now(LEASE.total_seconds())


async def test_a_process_frozen_after_the_claim_sends_nothing(
    bot: Bot, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.subscribe()
    await bot.process.deliveries.claim_due([await bot.subscription()], planner(bot.live_library.current), SLOT)
    frozen_after(monkeypatch, bot.process.deliveries, "claim", lambda: freeze(ATTEMPT_SECONDS + 1))

    await bot.tick(SLOT)

    assert (await bot.last()).attempts == 2  # the first one sent nothing
    assert bot.clock.now() >= SLOT + LEASE
    assert (bot.sender.sends, bot.topics()) == (1, ["flask"])


async def test_a_process_frozen_after_a_manual_claim_sends_nothing(
    bot: Bot, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.subscribe()
    frozen_after(monkeypatch, bot.process.deliveries, "claim_manual", lambda: freeze(ATTEMPT_SECONDS + 1))

    delivery = await bot.post_now()

    assert delivery is not None
    assert (delivery.state, bot.sender.sends) == (State.PENDING, 0)
    await bot.tick(bot.clock.now() + LEASE)
    assert bot.topics() == ["flask"]


async def test_a_process_frozen_after_a_look_up_sends_nothing(
    bot: Bot, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.subscribe()
    bot.sender.before = [AmbiguousError("cut")]
    bot.sender.nonce = timedelta()
    frozen_after(monkeypatch, bot.process.deliveries, "restart", lambda: freeze(ATTEMPT_SECONDS + 1))

    await bot.tick(SLOT)
    await bot.tick_until(SLOT + timedelta(minutes=3))

    assert (await bot.last()).attempts == 3  # one was cut, and one was frozen after its look-up
    assert bot.sender.look_ups == 1
    assert bot.topics() == ["flask"]


async def test_a_notice_after_its_deadline_is_sent_by_the_next_attempt(
    bot: Bot, notice_sender: FakeNoticeSender, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told_of(bot.process.database, await bot.subscribe())
    frozen_after(monkeypatch, bot.process.notices, "claim", lambda: freeze(NOTICE_LEASE.total_seconds()))

    await bot.tick()

    assert len(notice_sender.sent) == 1
    assert bot.clock.now() > SLOT - timedelta(hours=1)  # it was claimed again
