"""A client that uses Discord's REST API without going online."""

from collections.abc import Callable

import aiohttp
import discord
from discord.http import Route
from yarl import URL

from weekbot.discord_io.http_trace import HttpTrace
from weekbot.discord_io.mentions import no_mentions
from weekbot.discord_io.rate_limiter import RateLimiter

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # weekbot doesn't use voice


class RestClient(discord.Client):
    """Sends requests at the limiter's rate. `instrument` may extend the HTTP trace before the first request."""

    def __init__(
        self, rate_limiter: RateLimiter, instrument: Callable[[aiohttp.TraceConfig], object] = lambda _: None
    ) -> None:
        http_trace = HttpTrace(lambda: rate_limiter)
        trace = http_trace.config()
        instrument(trace)
        super().__init__(
            intents=discord.Intents(guilds=True), allowed_mentions=no_mentions(), max_messages=None, http_trace=trace
        )
        http_trace.install(self)


def use_addresses(api_url: str, gateway_url: str | None) -> None:
    """Replace Discord's addresses, for example by a proxy's. discord.py keeps them for the whole process."""
    Route.BASE = api_url.rstrip("/")
    if gateway_url:
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = URL(gateway_url)
