"""`weekbot run`: the bot on Discord, until it is told to stop."""

import asyncio
import gc
import logging

import aiohttp
import discord

from weekbot.app import App, build, delivering
from weekbot.bot.client import use_addresses
from weekbot.clock import Clock
from weekbot.errors import WeekbotError
from weekbot.settings import Settings
from weekbot.signals import on_reload_signal, stop_signal

log = logging.getLogger(__name__)

WHERE_TOKENS_ARE = "https://discord.com/developers/applications, your application, Bot, Reset Token"


class TokenError(WeekbotError):
    """The token is missing or wrong."""


async def run(settings: Settings, clock: Clock) -> None:
    """Run until SIGTERM or SIGINT. Raises WeekbotError for what an operator can put right."""
    if settings.discord_token is None or not settings.discord_token.get_secret_value().strip():
        raise TokenError(f"WEEKBOT_DISCORD_TOKEN is not set. Get a token at {WHERE_TOKENS_ARE}.")
    gateway_url = settings.discord_gateway_url
    use_addresses(str(settings.discord_api_url), str(gateway_url) if gateway_url else None)
    async with build(settings, clock) as app, app.client:
        await _log_in(app, settings.discord_token.get_secret_value().strip())
        await serve(app)


def spare_what_is_there() -> None:
    """Keep the garbage collector from going through all content and servers again and again.

    They stay, and one pass over a thousand topics takes a tenth of a second, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()


async def _log_in(app: App, token: str) -> None:
    try:
        await app.client.login(token)
    except discord.LoginFailure:
        raise TokenError(
            f"Discord does not accept WEEKBOT_DISCORD_TOKEN. Get a new one at {WHERE_TOKENS_ARE}."
        ) from None
    except (aiohttp.ClientError, discord.HTTPException, OSError) as error:
        raise WeekbotError(
            f"Discord cannot be reached: {error}. Check the network and WEEKBOT_DISCORD_API_URL."
        ) from None


async def serve(app: App) -> None:
    """Stay connected and deliver, until SIGTERM or SIGINT; the client is logged in."""
    stop = stop_signal()
    on_reload_signal(app.live.reload)
    connection = asyncio.create_task(app.client.connect())
    stopping = asyncio.create_task(stop.wait())
    online = asyncio.create_task(app.client.came_online.wait())
    try:
        await asyncio.wait({connection, stopping, online}, return_when=asyncio.FIRST_COMPLETED)
        if online.done():
            spare_what_is_there()
            async with delivering(app):
                await asyncio.wait({connection, stopping}, return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping; all posts in flight are finished")
        if connection.done():
            await connection
    finally:
        for task in (stopping, online):
            task.cancel()
        await app.client.close()
        # It may be pausing before it tries to connect again, for minutes after a long outage.
        connection.cancel()
        await asyncio.gather(connection, return_exceptions=True)
