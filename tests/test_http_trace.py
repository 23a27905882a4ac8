"""The HTTP trace: discord.py over real HTTP, against the loopback Discord."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import discord
import pytest
from aiohttp import web
from discord.http import Route

from discord_server import Channel, DiscordServer, request_fault
from weekbot.delivery.deadline import NO_ANSWER
from weekbot.delivery.errors import AmbiguousError, RateLimitedError, RetryableError
from weekbot.discord_io import http_trace
from weekbot.discord_io.errors import map_errors
from weekbot.discord_io.http_trace import HttpTrace
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rate_limits import RateLimits

GLOBAL = {"message": "You are being rate limited.", "retry_after": 25.0, "global": True}


class CountingRateLimiter(RateLimiter):
    """Counts requests without delaying them."""

    def __init__(self) -> None:
        super().__init__(10_000)
        self.acquired = 0

    async def acquire(self) -> None:
        self.acquired += 1


@pytest.fixture
def rate_limiter() -> CountingRateLimiter:
    return CountingRateLimiter()


@pytest.fixture
def limits() -> RateLimits:
    return RateLimits()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        monkeypatch.setattr(Route, "BASE", server.api_url)
        yield server


@asynccontextmanager
async def logged_in(token: str, rate_limiter: RateLimiter, limits: RateLimits) -> AsyncIterator[discord.Client]:
    trace = HttpTrace(lambda: rate_limiter, rate_limits=limits)
    async with discord.Client(intents=discord.Intents.none(), http_trace=trace.config()) as client:
        trace.install(client)
        await client.login(token)
        yield client


@pytest.fixture
async def client(
    server: DiscordServer, rate_limiter: CountingRateLimiter, limits: RateLimits
) -> AsyncIterator[discord.Client]:
    async with logged_in(server.token, rate_limiter, limits) as client:
        yield client


@pytest.fixture
def channel(server: DiscordServer) -> Channel:
    return server.add_guild("Pythonistas").add_text_channel("weekly")


async def send(client: discord.Client, channel: Channel) -> discord.Message:
    with map_errors():
        return await client.get_partial_messageable(channel.id).send("hello")


async def test_every_request_of_discord_py_waits_for_the_rate_limiter(
    server: DiscordServer, client: discord.Client, rate_limiter: CountingRateLimiter
) -> None:
    await client.application_info()
    assert rate_limiter.acquired == len(server.requests) > 0


@pytest.mark.parametrize("path", ["/interactions/1/token/callback", "/webhooks/1/token/messages/@original"])
async def test_an_interaction_response_never_waits(
    server: DiscordServer, rate_limiter: CountingRateLimiter, limits: RateLimits, path: str
) -> None:
    limits.pause_all(timedelta(minutes=1))
    async with (
        aiohttp.ClientSession(trace_configs=[HttpTrace(lambda: rate_limiter, rate_limits=limits).config()]) as session,
        session.post(server.api_url + path),
    ):
        pass
    server.violations.clear()  # the request isn't valid
    assert len(server.requests) == 1
    assert rate_limiter.acquired == 0


# discord.py neither retries nor sleeps while it holds a request


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 524])
async def test_a_server_error_ends_a_request_at_once(
    server: DiscordServer, client: discord.Client, channel: Channel, status: int
) -> None:
    server.fail_next("POST", "/messages$", status)
    with pytest.raises(AmbiguousError, match=str(status)):
        await send(client, channel)
    assert len(server.sent("POST", "/channels/{channel_id}/messages")) == 1


async def test_a_global_limit_blocks_all_requests_until_it_ends(
    server: DiscordServer, client: discord.Client, channel: Channel, limits: RateLimits
) -> None:
    server.fail_next("POST", "/messages$", 429, GLOBAL | {"retry_after": 0.3})
    with pytest.raises(RateLimitedError):
        await send(client, channel)
    before = len(server.requests)
    for request in (send(client, channel), client.application_info(), client.fetch_channel(channel.id)):
        with pytest.raises(RateLimitedError) as caught:
            await request
        assert caught.value.everywhere
    assert len(server.requests) == before
    await asyncio.sleep(limits.pause.total_seconds() + 0.001)
    assert (await send(client, channel)).content == "hello"


@pytest.mark.parametrize("body", [GLOBAL, {"retry_after": 283.4}, {"retry_after": "soon"}, {}, None, [1]])
async def test_a_429_raises_rate_limited_error_whatever_its_body(
    server: DiscordServer, client: discord.Client, channel: Channel, body: Any
) -> None:
    server.fail_next("POST", "/messages$", 429, body)
    with pytest.raises(RateLimitedError) as caught:
        await send(client, channel)
    assert caught.value.after > timedelta()
    assert caught.value.everywhere == (body == GLOBAL)


async def test_a_channels_limit_does_not_apply_to_other_channels(
    server: DiscordServer, client: discord.Client, channel: Channel
) -> None:
    other = channel.guild.add_text_channel("other")
    server.fail_next("POST", f"/{channel.id}/messages$", 429, {"retry_after": 60, "global": False})
    for _ in range(2):
        with pytest.raises(RateLimitedError):
            await send(client, channel)
    assert (await send(client, other)).content == "hello"
    posts = server.sent("POST", "/channels/{channel_id}/messages")
    assert [each.call.id("channel_id") for each in posts] == [channel.id, other.id]


async def test_a_request_waits_for_a_bucket_that_refills_soon(
    server: DiscordServer, client: discord.Client, channel: Channel
) -> None:
    """Discord allows five messages in five seconds."""
    await asyncio.gather(*(send(client, channel) for _ in range(5)))
    sending = asyncio.create_task(send(client, channel))
    await asyncio.wait({sending}, timeout=0.2)
    assert not sending.done()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert len(server.sent("POST", "/channels/{channel_id}/messages")) == 5


@pytest.mark.parametrize("steps", range(40))
async def test_a_request_cancelled_at_any_step_does_not_affect_others(
    server: DiscordServer, client: discord.Client, channel: Channel, steps: int
) -> None:
    """Cancels at each step of the event loop, also while the request is rate-limited."""
    server.fail_next("POST", "/messages$", 429, GLOBAL | {"retry_after": 0.01})
    for _ in range(2):
        sending = asyncio.create_task(send(client, channel))
        for _ in range(steps):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    server.rest.faults.pending.clear()
    await asyncio.sleep(0.02)
    async with asyncio.timeout(4):
        for _ in range(2):
            assert (await send(client, channel)).content == "hello"


# Responses of proxies


@asynccontextmanager
async def proxy(answer: web.Response) -> AsyncIterator[str]:
    """Answer each request with a copy of the response; yield the URL."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/v10"
    finally:
        await runner.cleanup()


def page(status: int, **headers: str) -> web.Response:
    return web.Response(
        status=status, text="<html>Attention Required!</html>", content_type="text/html", headers=headers
    )


def json_text(text: str, charset: str | None = None) -> web.Response:
    return web.Response(text=text, content_type="application/json", charset=charset)


ANSWERS = {
    "a page, 403": (page(403), AmbiguousError),
    "a page, 400": (page(400), AmbiguousError),
    "a page, 404": (page(404), AmbiguousError),
    "a page, 200": (page(200), AmbiguousError),
    "a page, 401": (page(401), AmbiguousError),
    "a page, 429": (page(429), RateLimitedError),
    "a page, 502": (page(502), AmbiguousError),
    "nothing": (json_text(""), AmbiguousError),
    "a cut object": (json_text('{"id": "1", "chan'), AmbiguousError),
    "an empty object": (json_text("{}"), AmbiguousError),
    "a list": (json_text("[]"), AmbiguousError),
    "null": (json_text("null"), AmbiguousError),
}


@pytest.mark.parametrize(("answer", "kind"), ANSWERS.values(), ids=ANSWERS)
async def test_a_proxys_response_is_neither_a_refusal_nor_a_success(
    monkeypatch: pytest.MonkeyPatch,
    client: discord.Client,
    channel: Channel,
    answer: web.Response,
    kind: type[Exception],
) -> None:
    async with proxy(answer) as address:
        monkeypatch.setattr(Route, "BASE", address)
        with pytest.raises(kind) as caught:
            await send(client, channel)
    assert "<" not in str(caught.value)


async def test_a_ban_by_cloudflare_pauses_all_requests(
    monkeypatch: pytest.MonkeyPatch, client: discord.Client, limits: RateLimits, channel: Channel
) -> None:
    async with proxy(page(429, **{"Retry-After": "90"})) as address:
        monkeypatch.setattr(Route, "BASE", address)
        with pytest.raises(RateLimitedError):
            await send(client, channel)
    assert timedelta(seconds=85) < limits.pause <= timedelta(seconds=90)


async def test_json_with_a_charset_is_decoded(
    server: DiscordServer, client: discord.Client, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = channel.post(server.world.bot, {"content": "hello"})
    answer = web.json_response(message.payload())
    assert "charset" in answer.headers["Content-Type"]
    async with proxy(answer) as address:
        monkeypatch.setattr(Route, "BASE", address)
        assert (await send(client, channel)).id == message.id


async def test_a_request_is_not_retried_after_a_connection_reset(
    client: discord.Client, channel: Channel, server: DiscordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """discord.py would retry it on macOS and Windows."""
    for number in (54, 10054, 104):

        async def reset(*_: Any, number: int = number, **__: Any) -> None:
            raise ConnectionResetError(number, "reset by peer")

        with monkeypatch.context() as patched:
            patched.setattr(aiohttp.ClientRequest, "send" if hasattr(aiohttp.ClientRequest, "send") else "_send", reset)
            with pytest.raises(AmbiguousError, match="cut"):
                await send(client, channel)
    assert not server.sent("POST", "/channels/{channel_id}/messages")


async def test_an_unanswered_request_without_a_deadline_times_out(
    server: DiscordServer, client: discord.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_trace, "MAX_REQUEST_SECONDS", 0.2)
    server.inject("GET", "/users/@me/guilds$", request_fault.held())
    with pytest.raises(AmbiguousError, match=NO_ANSWER), map_errors():
        [guild async for guild in client.fetch_guilds()]


async def test_a_pause_stops_a_request_that_waits_for_the_rate_limiter(
    server: DiscordServer, limits: RateLimits, channel: Channel
) -> None:
    class PausingRateLimiter(CountingRateLimiter):
        async def acquire(self) -> None:
            if is_logged_in:
                limits.pause_all(timedelta(minutes=1))

    is_logged_in = False
    async with logged_in(server.token, PausingRateLimiter(), limits) as client:
        is_logged_in = True
        with pytest.raises(RetryableError):
            await send(client, channel)
    assert not server.sent("POST", "/channels/{channel_id}/messages")
