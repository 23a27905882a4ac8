"""A loopback Discord with one server, and a client of discord.py that is online there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import discord

from discord_server import Channel, DiscordServer, Guild, World
from discord_server.thread import Thread
from fakes import FakeClock
from weekbot.app import App
from weekbot.discord_io.http_trace import HttpTrace
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rest_client import use_addresses
from weekbot.domain.schedule import next_slot
from weekbot.domain.subscriptions import Options, Subscription

INTENTS = discord.Intents(guilds=True)


class Client(discord.Client):
    """Online as soon as its servers are known."""

    def __init__(self, **options: Any) -> None:
        defaults: dict[str, Any] = {"intents": INTENTS, "max_messages": None, "guild_ready_timeout": 0.01}
        trace = HttpTrace(lambda: RateLimiter(10_000))
        super().__init__(http_trace=trace.config(), **defaults | options)
        trace.install(self)
        self._received = asyncio.Event()

    async def on_socket_event_type(self, _: str) -> None:
        self._received.set()

    async def until(self, met: Callable[[], object]) -> None:
        """Wait until an event from the gateway makes the condition true."""
        async with asyncio.timeout(60):
            while not met():
                self._received.clear()
                await self._received.wait()


class OtherShard(discord.AutoShardedClient, Client):
    """Runs the second of two shards; the place's server is on the first, which another process runs."""

    def __init__(self) -> None:
        super().__init__(intents=INTENTS, shard_ids=[1], shard_count=2)


@asynccontextmanager
async def app_online(app: App, server: DiscordServer) -> AsyncIterator[None]:
    """Run the whole bot while the block lasts."""
    app.client._connection.guild_ready_timeout = 0.01  # how long it waits for another server
    running = asyncio.create_task(app.client.start(server.token))
    async with asyncio.timeout(60):
        await app.client.came_online.wait()
        await app.registration.keep_trying()
    yield
    await app.client.close()
    await running


async def until(met: Callable[[], object]) -> None:
    """Poll until the condition is true, if no event announces it."""
    async with asyncio.timeout(60):
        while not met():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@dataclass
class Place:
    server: DiscordServer
    guild: Guild
    client: Client
    clock: FakeClock

    @property
    def known(self) -> discord.Guild:
        """The server in the client's cache."""
        found = self.client.get_guild(self.guild.id)
        assert found is not None
        return found

    def subscription(self, channel: Channel, **options: Any) -> Subscription:
        chosen = Options("everything", **options)
        slot = next_slot(chosen.weekly("UTC"), self.clock.now())
        parent_id = channel.parent.id if isinstance(channel, Thread) else None
        return Subscription(1, self.guild.id, channel.id, chosen, "UTC", 1, slot, parent_id=parent_id)

    async def knows(self, channel: Channel) -> None:
        """Wait until the channel is in the client's cache."""
        await self.client.until(lambda: self.client.get_channel(channel.id))

    async def text(self, name: str = "weekly") -> Channel:
        channel = self.guild.add_text_channel(name)
        await self.knows(channel)
        return channel

    async def thread(self, parent: Channel) -> Thread:
        thread = Thread.open(parent, self.guild.owner.user, self.server.world.snowflakes.next(), {"name": "corner"})
        thread.publish()
        await self.knows(thread)
        return thread

    async def receive_events(self) -> None:
        """Wait until the client has received all previous events."""
        await self.text("last")

    async def begin_outage(self) -> None:
        """Begin an outage of the server, and wait until the client knows about it."""
        self.guild.go_down()
        await self.client.until(lambda: self.known.unavailable)

    async def end_outage(self) -> None:
        self.guild.come_back()
        await self.client.until(lambda: not self.known.unavailable)


@asynccontextmanager
async def online(clock: FakeClock, kind: type[Client] = Client) -> AsyncIterator[Place]:
    """Run a client; a request that its Discord doesn't know fails the test."""
    async with DiscordServer(World(clock=clock.now)) as server:
        use_addresses(server.api_url, server.gateway_url)
        guild = server.add_guild("Pythonistas")
        async with kind() as client:
            running = asyncio.create_task(client.start(server.token))
            async with asyncio.timeout(60):
                await client.wait_until_ready()
            yield Place(server, guild, client, clock)
            await client.close()
            await running
        assert not server.unknown_requests
