"""The circuit breaker: at half of Discord's limit for invalid requests, only interaction responses are sent."""

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
from manual_clock import ManualClock
from weekbot.delivery.errors import PermanentError, RetryableError
from weekbot.delivery.ports import NONCE_KNOWN
from weekbot.discord_io.circuit_breaker import MAX_INVALID_REQUESTS, WINDOW_SECONDS, CircuitBreaker
from weekbot.discord_io.errors import map_errors
from weekbot.discord_io.http_trace import HttpTrace
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.domain.deliveries import State

FEW = 3


def refuse(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.record(403, shared=False)


def test_the_limit_is_half_of_discords_limit() -> None:
    assert (MAX_INVALID_REQUESTS, WINDOW_SECONDS) == (MOST_INVALID / 2, INVALID_WINDOW)


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
def test_the_responses_that_discord_counts_are_counted(status: int, shared: bool, counts: int) -> None:
    breaker = CircuitBreaker()
    breaker.record(status, shared=shared)
    assert breaker.count == counts


def test_the_circuit_stays_open_until_the_oldest_request_is_ten_minutes_old() -> None:
    clock = ManualClock(1000.0)
    breaker = CircuitBreaker(FEW, clock)
    refuse(breaker, FEW - 1)
    breaker.check()
    clock.now += 60
    refuse(breaker, 1)
    with pytest.raises(RetryableError, match="too many requests") as caught:
        breaker.check()
    assert caught.value.after == timedelta(seconds=WINDOW_SECONDS - 60)
    clock.now += WINDOW_SECONDS - 60
    breaker.check()
    assert breaker.count == 1


@given(gaps=st.lists(st.floats(0, 300), min_size=FEW, max_size=30))
def test_the_count_is_below_the_limit_after_the_pause(gaps: list[float]) -> None:
    clock = ManualClock(1000.0)
    breaker = CircuitBreaker(FEW, clock)
    for gap in gaps:
        clock.now += gap
        refuse(breaker, 1)
    clock.now += breaker.pause.total_seconds() + 1e-3
    breaker.check()
    assert breaker.count < FEW


# Over HTTP


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        monkeypatch.setattr(Route, "BASE", server.api_url)
        yield server


async def test_no_request_is_sent_after_too_many_refusals(server: DiscordServer) -> None:
    clock = ManualClock(1000.0)
    breaker = CircuitBreaker(FEW, clock)
    guild = server.add_guild("Pythonistas")
    channels = [guild.add_text_channel(str(number)) for number in range(FEW + 1)]
    for channel in channels[:FEW]:
        channel.forbid()
    trace = HttpTrace(lambda: RateLimiter(10_000), circuit_breaker=breaker).config()
    async with discord.Client(intents=discord.Intents.none(), http_trace=trace) as client:
        await client.login(server.token)
        for channel in channels[:FEW]:
            with pytest.raises(PermanentError), map_errors():
                await client.get_partial_messageable(channel.id).send("hello")
        before = len(server.requests)
        with pytest.raises(RetryableError, match="too many requests"), map_errors():
            await client.get_partial_messageable(channels[FEW].id).send("hello")
        assert (len(server.requests), breaker.count) == (before, FEW)
        clock.now += WINDOW_SECONDS
        await client.get_partial_messageable(channels[FEW].id).send("hello")
    assert len(channels[FEW].history()) == 1


@pytest.mark.parametrize("path", ["/interactions/1/token/callback", "/webhooks/1/token/messages/@original"])
async def test_interaction_responses_are_sent_while_the_circuit_is_open(server: DiscordServer, path: str) -> None:
    breaker = CircuitBreaker(FEW)
    refuse(breaker, FEW)
    trace = HttpTrace(lambda: RateLimiter(10_000), circuit_breaker=breaker).config()
    async with aiohttp.ClientSession(trace_configs=[trace]) as session, session.post(server.api_url + path):
        pass
    server.violations.clear()  # the request isn't valid
    assert len(server.requests) == 1


async def test_the_gateway_is_connected_while_the_circuit_is_open(server: DiscordServer) -> None:
    breaker = CircuitBreaker(FEW)
    refuse(breaker, FEW)
    trace = HttpTrace(lambda: RateLimiter(10_000), circuit_breaker=breaker).config()
    async with (
        aiohttp.ClientSession(trace_configs=[trace]) as session,
        session.ws_connect(server.gateway_url) as socket,
        asyncio.timeout(10),
    ):
        assert (await socket.receive_json())["op"] == 10


# Deliveries


@pytest.mark.parametrize("pause", [timedelta(seconds=100), timedelta(minutes=9)])
async def test_a_blocked_delivery_is_sent_when_the_pause_ends(bot: Bot, pause: timedelta) -> None:
    """It is looked up if Discord may have forgotten the nonce of another program's post."""
    bot.sender.before.append(RetryableError("too many requests", pause))
    await bot.subscribe()
    await bot.tick(SLOT)
    assert ((await bot.last()).state, (await bot.last()).retry_at) == (State.PENDING, SLOT + pause)
    await bot.tick(SLOT + pause)
    assert ((await bot.last()).state, len(bot.sender.posts)) == (State.SENT, 1)
    assert bot.sender.look_ups == (pause > NONCE_KNOWN)
