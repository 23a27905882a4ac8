"""The whole bot over the loopback Discord, in one server with one channel."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import CONTENT
from discord_server import Channel, DiscordServer, Guild, Interaction, Message
from discord_server.permission import BOT_DEFAULT
from places import app_online
from weekbot.app import App, build
from weekbot.bot.cards import custom_ids
from weekbot.discord_io.rest_client import use_addresses
from weekbot.runtime.clock import SystemClock
from weekbot.settings import Settings


@dataclass
class Place:
    server: DiscordServer
    guild: Guild
    channel: Channel
    app: App

    async def post(self) -> Message:
        """Subscribe the channel, and return a weekly post with its buttons."""
        await self.server.interact(self.channel, "weekly subscribe", {"track": "web"})
        await self.server.interact(self.channel, "weekly post")
        [post] = [each for each in self.channel.history() if "This week" in each.text]
        return post

    async def panel(self) -> Interaction:
        """Return the status panel, opened on the channel's page."""
        shown = await self.server.interact(self.channel, "weekly status")
        await self.server.click(shown, custom_ids.manage(self.channel.id))
        return shown


@asynccontextmanager
async def running_bot(folder: Path, permissions: int = BOT_DEFAULT) -> AsyncIterator[Place]:
    """Run the bot with these permissions in the server; a request that its Discord doesn't know fails the test."""
    settings = Settings(database_url=f"sqlite:///{folder / 'weekbot.db'}", content_dir=CONTENT)
    async with DiscordServer() as server:
        server.changes.timeout = 5
        use_addresses(server.api_url, server.gateway_url)
        guild = server.add_guild("Pythonistas", permissions)
        channel = guild.add_text_channel("weekly")
        async with build(settings, SystemClock()) as app, app.client, app_online(app, server):
            app.leader_gate.open()
            yield Place(server, guild, channel, app)
        assert not server.unknown_requests
