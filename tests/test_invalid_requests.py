"""The breaker: at half of what Discord takes before it bans an address, only answers to members are sent."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import discord
import pytest
from discord.http import Route
from hypothesis import given
from hypothesis import strategies as st

from discord_server import DiscordServer
from discord_server.rate_limit import INVALID_WINDOW, MOST_INVALID
from fakes import SLOT, Bot
from weekbot.delivery.errors import PermanentError, RetryableError
from weekbot.delivery.ports import NONCE_KNOWN
from weekbot.discord_io.circuit_breaker import MOST, WINDOW_SECONDS, CircuitBreaker
from weekbot.discord_io.errors import map_errors
from weekbot.discord_io.http_trace import HttpTrace
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.domain.deliveries import State

FEW = 3


class Watch:
    """Monotonic seconds, by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def refused(invalid: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        invalid.answered(403, shared=False)


def test_the_limit_is_half_of_discords() -> None:
    assert (MOST, WINDOW_SECONDS) == (MOST_INVALID / 2, INVALID_WINDOW)


@pytest.mark.parametrize(
    ("status", "shared", "counts"),
    [
        (200, False, 0),
        (404, False, 0),
        (503, False, 0),
        (401, False, 1),
        (403, False, 1),
        (429, False, 1),
        (429, True, 0),
    ],
)
def test_what_counts_is_what_discord_counts(status: int, shared: bool, counts: int) -> None:
    invalid = CircuitBreaker()
    invalid.answered(status, shared=shared)
    assert invalid.count == counts


def test_at_the_limit_nothing_is_sent_until_the_oldest_is_ten_minutes_old() -> None:
    watch = Watch()
    invalid = CircuitBreaker(FEW, watch)
    refused(invalid, FEW - 1)
    invalid.not_too_many()
    watch.seconds += 60
    refused(invalid, 1)
    with pytest.raises(RetryableError, match="too many requests") as told:
        invalid.not_too_many()
    assert told.value.after == timedelta(seconds=WINDOW_SECONDS - 60)
    watch.seconds += WINDOW_SECONDS - 60
    invalid.not_too_many()
    assert invalid.count == 1


@given(gaps=st.lists(st.floats(0, 300), min_size=FEW, max_size=30))
def test_after_its_pause_there_are_fewer_than_the_limit(gaps: list[float]) -> None:
    watch = Watch()
    invalid = CircuitBreaker(FEW, watch)
    for gap in gaps:
        watch.seconds += gap
        refused(invalid, 1)
    watch.seconds += invalid.pause.total_seconds() + 1e-3
    invalid.not_too_many()
    assert invalid.count < FEW


# Over HTTP


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        monkeypatch.setattr(Route, "BASE", server.api_url)
        yield server


async def test_after_too_many_refusals_no_request_reaches_discord(server: DiscordServer) -> None:
    watch = Watch()
    invalid = CircuitBreaker(FEW, watch)
    guild = server.add_guild("Pythonistas")
    channels = [guild.add_text_channel(str(number)) for number in range(FEW + 1)]
    for channel in channels[:FEW]:
        channel.forbid()
    trace = HttpTrace(lambda: RateLimiter(10_000), invalid=invalid).trace()
    async with discord.Client(intents=discord.Intents.none(), http_trace=trace) as client:
        await client.login(server.token)
        for channel in channels[:FEW]:
            with pytest.raises(PermanentError), map_errors():
                await client.get_partial_messageable(channel.id).send("hello")
        before = len(server.requests)
        with pytest.raises(RetryableError, match="too many requests"), map_errors():
            await client.get_partial_messageable(channels[FEW].id).send("hello")
        assert (len(server.requests), invalid.count) == (before, FEW)
        watch.seconds += WINDOW_SECONDS
        await client.get_partial_messageable(channels[FEW].id).send("hello")
    assert len(channels[FEW].history()) == 1


@pytest.mark.parametrize("path", ["/interactions/1/token/callback", "/webhooks/1/token/messages/@original"])
async def test_answers_to_members_are_sent_all_the_same(server: DiscordServer, path: str) -> None:
    invalid = CircuitBreaker(FEW)
    refused(invalid, FEW)
    trace = HttpTrace(lambda: RateLimiter(10_000), invalid=invalid).trace()
    async with aiohttp.ClientSession(trace_configs=[trace]) as session, session.post(server.api_url + path):
        pass
    server.violations.clear()  # it is not even a request that Discord would understand
    assert len(server.requests) == 1


async def test_the_gateway_over_which_members_are_heard_is_connected_to_all_the_same(server: DiscordServer) -> None:
    invalid = CircuitBreaker(FEW)
    refused(invalid, FEW)
    trace = HttpTrace(lambda: RateLimiter(10_000), invalid=invalid).trace()
    async with (
        aiohttp.ClientSession(trace_configs=[trace]) as session,
        session.ws_connect(server.gateway_url) as socket,
        asyncio.timeout(10),
    ):
        assert (await socket.receive_json())["op"] == 10


# What the ledger makes of it


@pytest.mark.parametrize("pause", [timedelta(seconds=100), timedelta(minutes=9)])
async def test_a_delivery_that_was_stopped_is_sent_as_soon_as_it_may_be(bot: Bot, pause: timedelta) -> None:
    """It is looked for if another program could have posted it so long ago that Discord has forgotten the nonce."""
    bot.sender.before.append(RetryableError("too many requests", pause))
    await bot.subscribe()
    await bot.tick(SLOT)
    assert ((await bot.last()).state, (await bot.last()).retry_at) == (State.PENDING, SLOT + pause)
    await bot.tick(SLOT + pause)
    assert ((await bot.last()).state, len(bot.sender.posts)) == (State.SENT, 1)
    assert bot.sender.look_ups == (pause > NONCE_KNOWN)
