"""`weekbot run`: the bot on Discord, until it is told to stop."""

import asyncio
import logging
from itertools import count

import aiohttp
import discord

from weekbot.app import App, build, delivering
from weekbot.bot.client import use_addresses
from weekbot.clock import Clock
from weekbot.delivery.retries import pause
from weekbot.errors import WeekbotError, said
from weekbot.garbage import spare_what_is_there
from weekbot.health import telling
from weekbot.settings import Settings
from weekbot.signals import on_reload_signal, stop_signal
from weekbot.waiting import end

log = logging.getLogger(__name__)

WHERE_TOKENS_ARE = "https://discord.com/developers/applications, your application, Bot, Reset Token"

AUTHENTICATION_FAILED = 4004  # as which the gateway closes a connection
UNREACHABLE = "Discord cannot be reached: %s. Trying again in %.0f s; check the network and WEEKBOT_DISCORD_API_URL."


REFUSED = f"Discord does not accept WEEKBOT_DISCORD_TOKEN. Get a new one at {WHERE_TOKENS_ARE}."


class TokenError(WeekbotError):
    """The token is missing or wrong."""


async def run(settings: Settings, clock: Clock) -> None:
    """Run until SIGTERM or SIGINT. Raises WeekbotError for what an operator can put right."""
    token, gateway_url = token_of(settings), settings.discord_gateway_url
    use_addresses(str(settings.discord_api_url), str(gateway_url) if gateway_url else None)
    async with build(settings, clock) as app, app.client, telling(app.metrics, app.readiness, settings.health_port):
        await serve(app, token)


def token_of(settings: Settings) -> str:
    """Raises TokenError where none is set."""
    token = settings.discord_token.get_secret_value() if settings.discord_token else ""
    if not token:
        raise TokenError(f"WEEKBOT_DISCORD_TOKEN is not set. Get a token at {WHERE_TOKENS_ARE}.")
    return token


async def log_in(client: discord.Client, token: str) -> None:
    """Raises TokenError."""
    try:
        await client.login(token)
    except discord.LoginFailure:
        raise TokenError(REFUSED) from None


async def _stay_connected(app: App, token: str) -> None:
    """Log in, as soon as Discord can be reached, and stay connected until the client is closed.

    Raises TokenError.
    """
    for attempt in count(1):
        try:
            await log_in(app.client, token)
            await app.client.connect()
        except TokenError:
            raise
        except discord.ConnectionClosed as error:
            if error.code != AUTHENTICATION_FAILED:
                raise
            raise TokenError(REFUSED) from None
        except (aiohttp.ClientError, discord.HTTPException, discord.GatewayNotFound, WeekbotError, OSError) as error:
            wait = pause(attempt)
            log.warning(UNREACHABLE, said(error), wait.total_seconds())
            await app.client.begin_anew()
            await asyncio.sleep(wait.total_seconds())
        else:
            return


async def serve(app: App, token: str) -> None:
    """Stay connected and deliver, until SIGTERM or SIGINT. Raises TokenError, also where it is revoked meanwhile."""
    stop = stop_signal()
    on_reload_signal(app.live.reload)
    connection = asyncio.create_task(_stay_connected(app, token))
    stopping = asyncio.create_task(stop.wait())
    online = asyncio.create_task(app.client.came_online.wait())
    refused = asyncio.create_task(app.client.refused.wait())
    ends = {connection, stopping, refused}
    try:
        await asyncio.wait({*ends, online}, return_when=asyncio.FIRST_COMPLETED)
        if online.done():
            spare_what_is_there()
            async with delivering(app):
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping; all posts in flight are finished")
        if connection.done():
            await connection
        if refused.done():
            raise TokenError(REFUSED)
    finally:
        await app.client.close()
        # The connection may be pausing before it tries to connect again, for minutes after a long outage.
        await end(stopping, online, refused, connection)
