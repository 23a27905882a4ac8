"""The smallest possible discord.py bot, as a baseline for startup time and memory."""

import os

import discord
from discord.http import Route
from yarl import URL

ONLINE = "online"


class Bare(discord.AutoShardedClient):
    async def on_ready(self) -> None:
        print(ONLINE, flush=True)


if __name__ == "__main__":
    Route.BASE = os.environ["WEEKBOT_DISCORD_API_URL"]
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = URL(os.environ["WEEKBOT_DISCORD_GATEWAY_URL"])
    bare = Bare(
        intents=discord.Intents(guilds=True),
        chunk_guilds_at_startup=False,
        max_messages=None,
        member_cache_flags=discord.MemberCacheFlags.none(),
    )
    bare.run(os.environ["WEEKBOT_DISCORD_TOKEN"], log_handler=None)
