"""Faults between a bot and the loopback Discord's gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import discord
import pytest
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from discord_server import DiscordServer, World
from discord_server.fault import FOREVER, Mix
from discord_server.handshake_fault import closed, invalid_session, silence
from discord_server.start_limit import IDENTIFY_SECONDS, StartLimit

TIMEOUT = 10


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        monkeypatch.setattr(Route, "BASE", server.api_url)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway_url))
        server.add_guild("Pythonistas")
        yield server


# A discord.py bot


class Bot(discord.AutoShardedClient):
    """Records events, and neither waits before it identifies nor before it reconnects."""

    def __init__(self) -> None:
        super().__init__(intents=discord.Intents(guilds=True), guild_ready_timeout=0.01, heartbeat_timeout=0.1)
        self.received: list[str] = []
        self.new_event = asyncio.Event()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        pass

    async def on_socket_event_type(self, event: str) -> None:
        self.received.append(event)
        self.new_event.set()

    async def wait_for_event(self, event: str, times: int = 1) -> None:
        async with asyncio.timeout(TIMEOUT):
            while self.received.count(event) < times:
                self.new_event.clear()
                await self.new_event.wait()


@asynccontextmanager
async def running(server: DiscordServer) -> AsyncIterator[Bot]:
    async with Bot() as bot:
        task = asyncio.create_task(bot.start(server.token))
        await bot.wait_for_event("GUILD_CREATE")
        yield bot
        await bot.close()
        await task


@pytest.fixture
async def bot(server: DiscordServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    monkeypatch.setattr(discord.backoff.ExponentialBackoff, "delay", lambda _: 0.01)
    async with running(server) as bot:
        bot.received.clear()
        yield bot


@pytest.mark.parametrize(
    ("disruption", "event"),
    [
        (lambda server: server.gateway.reconnect(), "RESUMED"),
        (lambda server: server.gateway.invalidate(resumable=True), "RESUMED"),
        (lambda server: server.gateway.invalidate(resumable=False), "READY"),
        (lambda server: server.gateway.close(4000), "RESUMED"),
    ],
    ids=["asked to reconnect", "session still valid", "session invalid", "closed"],
)
async def test_a_bot_reconnects(
    server: DiscordServer, bot: Bot, disruption: Callable[[DiscordServer], object], event: str
) -> None:
    disruption(server)
    await bot.wait_for_event(event)
    assert set(bot.received) & {"READY", "RESUMED"} == {event}
    assert server.gateway.complete()


async def test_a_bot_reconnects_if_its_heartbeats_are_not_acknowledged(
    server: DiscordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discord.backoff.ExponentialBackoff, "delay", lambda _: 0.01)
    server.gateway.heartbeat_interval = 0.05
    async with running(server) as bot:
        server.gateway.acknowledges = False
        await bot.wait_for_event("RESUMED")
        server.gateway.acknowledges = True
    assert bot.received.count("READY") == 1


async def test_a_gateway_can_drop_its_bots_repeatedly(server: DiscordServer, bot: Bot) -> None:
    async with server.gateway.drop_every(0.01):
        await bot.wait_for_event("RESUMED", 3)
    assert "READY" not in bot.received


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize(("resumable", "event"), [(True, "RESUMED"), (False, "READY")])
async def test_a_bot_reconnects_after_an_outage(
    server: DiscordServer, bot: Bot, refuses: bool, resumable: bool, event: str
) -> None:
    async with server.outage(refuses=refuses, resumable=resumable):
        with pytest.raises((discord.DiscordServerError, aiohttp.ClientConnectionError)):
            await bot.application_info()
        assert not server.gateway.connected()
    await bot.wait_for_event(event)
    assert (await bot.application_info()).name == "weekbot"


# A connection without discord.py


class Shard:
    """A connection to the gateway under a test's control."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, server: DiscordServer) -> None:
        self.socket = socket
        self.server = server

    async def receive(self, op: int) -> Any:
        """Return the data of the next payload with an opcode."""
        async with asyncio.timeout(TIMEOUT):
            while (payload := await self.socket.receive_json())["op"] != op:
                pass
        return payload["d"]

    async def wait_for_event(self, name: str) -> Any:
        """Return the data of the next event with a name."""
        async with asyncio.timeout(TIMEOUT):
            while (payload := await self.socket.receive_json()).get("t") != name:
                pass
        return payload["d"]

    async def resume(self, session_id: str, seen: int) -> None:
        resume = {"token": self.server.token, "session_id": session_id, "seq": seen}
        await self.socket.send_json({"op": 6, "d": resume})

    async def check_heartbeat(self) -> None:
        """Check that the next payload acknowledges a heartbeat."""
        await self.socket.send_json({"op": 1, "d": None})
        async with asyncio.timeout(TIMEOUT):
            assert (await self.socket.receive_json())["op"] == 11

    async def identify(self, shard: int = 0, shards: int = 1) -> None:
        identify = {"token": self.server.token, "intents": 1, "shard": [shard, shards], "properties": {}}
        await self.socket.send_json({"op": 2, "d": identify})

    async def closed(self) -> int | None:
        async with asyncio.timeout(TIMEOUT):
            while not self.socket.closed:
                await self.socket.receive()
        return self.socket.close_code


@asynccontextmanager
async def connected(server: DiscordServer) -> AsyncIterator[Shard]:
    async with aiohttp.ClientSession() as session, session.ws_connect(server.gateway_url) as socket:
        yield Shard(socket, server)


async def test_a_connection_without_a_heartbeat_is_closed(server: DiscordServer) -> None:
    server.gateway.heartbeat_interval = 0.02
    async with connected(server) as shard:
        await shard.identify()
        assert (await shard.receive(0))["shard"] == [0, 1]
        assert await shard.closed() == 4009


async def test_shards_that_identify_simultaneously_have_to_wait() -> None:
    now = [0.0]
    starts = StartLimit(max_concurrency=2, seconds=IDENTIFY_SECONDS, clock=lambda: now[0])
    async with DiscordServer(World(starts=starts)) as server, connected(server) as first, connected(server) as third:
        await first.identify(0, 3)
        assert (await first.receive(0))["shard"] == [0, 3]
        await third.identify(2, 3)
        assert await third.receive(9) is False

        now[0] += IDENTIFY_SECONDS
        await third.identify(2, 3)
        assert (await third.receive(0))["shard"] == [2, 3]


async def test_the_sessions_of_a_day_are_limited() -> None:
    now = [0.0]
    starts = StartLimit(total=1, clock=lambda: now[0])
    async with DiscordServer(World(starts=starts)) as server:
        assert starts.payload() == {"total": 1, "remaining": 1, "reset_after": 86_400_000, "max_concurrency": 1}
        async with connected(server) as shard:
            await shard.identify()
            await shard.receive(0)
        assert starts.remaining == 0
        async with connected(server) as shard:
            await shard.identify()
            assert await shard.closed() == 4004
        now[0] += 86_400
        assert starts.remaining == 1


# Failing handshakes


CODES = [1000, 1001, 1006, 1011, 4000, 4004, 4010, 4011, 4013, 4014]


@pytest.mark.parametrize("code", CODES)
async def test_a_connection_can_be_closed_with_any_code_at_identify(server: DiscordServer, code: int) -> None:
    server.gateway.inject("IDENTIFY", closed(code))
    async with connected(server) as shard:
        await shard.identify()
        assert await shard.closed() == code
    async with connected(server) as shard:
        await shard.identify()
        await shard.wait_for_event("READY")
    assert server.injected == {f"IDENTIFY: closed with {code}": 1}


@pytest.mark.parametrize("code", [1006, 1011, 4009])
async def test_each_resume_can_be_closed(server: DiscordServer, bot: Bot, code: int) -> None:
    plan = server.gateway.inject("RESUME", closed(code), FOREVER)
    server.gateway.close(4000)
    await server.until(lambda: server.injected[f"RESUME: closed with {code}"] >= 3)
    assert not {"READY", "RESUMED"} & set(bot.received)
    plan.times = 0
    await bot.wait_for_event("RESUMED")


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_session_can_be_invalid_when_it_is_resumed(server: DiscordServer, resumable: bool) -> None:
    async with connected(server) as shard:
        await shard.identify()
        session_id = (await shard.wait_for_event("READY"))["session_id"]
        await shard.socket.close(code=4000)
    server.gateway.inject("RESUME", invalid_session(resumable=resumable))
    async with connected(server) as shard:
        await shard.resume(session_id, 1)
        assert await shard.receive(9) is resumable
        await shard.resume(session_id, 1)
        if resumable:
            await shard.wait_for_event("RESUMED")
        else:
            assert await shard.receive(9) is False
    assert server.injected.total() == 1


async def test_a_session_can_be_invalid_before_it_began(server: DiscordServer) -> None:
    server.gateway.inject("IDENTIFY", invalid_session())
    async with connected(server) as shard:
        await shard.identify()
        assert await shard.receive(9) is False
        await shard.identify()
        await shard.wait_for_event("READY")


async def test_one_shard_cannot_identify_while_another_can(server: DiscordServer) -> None:
    server.gateway.inject("IDENTIFY", closed(4000), FOREVER, shard=1)
    async with connected(server) as first:
        await first.identify(0, 2)
        await first.wait_for_event("READY")
        for _ in range(3):
            async with connected(server) as second:
                await second.identify(1, 2)
                assert await second.closed() == 4000


async def test_a_gateway_can_be_silent_at_hello_or_at_identify(server: DiscordServer) -> None:
    server.gateway.inject("HELLO", silence())
    async with connected(server) as shard:
        await shard.check_heartbeat()  # no HELLO was sent before the acknowledgement
        server.gateway.inject("IDENTIFY", silence())
        await shard.identify()
        await shard.check_heartbeat()
    assert server.injected == {"HELLO: silence": 1, "IDENTIFY: silence": 1}


async def test_random_faults_mix_all_handshake_faults(server: DiscordServer) -> None:
    shares = [(0.5, [closed(1011), invalid_session()])]
    server.gateway.handshakes.mixes.append(Mix(1, shares, lambda step: step.name == "IDENTIFY"))
    outcomes = set()
    for _ in range(30):
        async with connected(server) as shard:
            await shard.identify()
            frame = await shard.socket.receive()
            while frame.type is aiohttp.WSMsgType.TEXT and frame.json()["op"] == 10:
                frame = await shard.socket.receive()
            outcomes.add(frame.data if frame.type is aiohttp.WSMsgType.CLOSE else frame.json()["op"])
    assert outcomes == {1011, 9, 0}
