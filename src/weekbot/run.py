"""`weekbot run`: the bot on Discord, until it is told to stop.

Posting needs nothing but a log-in. The gateway, over which members are heard, and the registration of commands begin
beside it; each fails and recovers by itself.
"""

import asyncio
import logging
from collections.abc import Sequence
from itertools import count

from weekbot.app import App, build
from weekbot.delivery.retry import pause, pause_after
from weekbot.discord_io.gateway.shard_runner import GatewayRefusedError
from weekbot.discord_io.login import TOKEN_REFUSED, TokenError, log_in, require_token
from weekbot.discord_io.rest_client import use_addresses
from weekbot.discord_io.server_time import ServerClock
from weekbot.ops.health import serve_health
from weekbot.runtime.build_info import build_info
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.gc_tuning import freeze_startup_objects
from weekbot.runtime.signals import on_reload_signal, stop_signal
from weekbot.runtime.tasks import cancel_and_wait
from weekbot.scheduler import delivering
from weekbot.settings import Settings

log = logging.getLogger(__name__)

HEAD_START_SECONDS = 15.0  # of the gateway, which tells what servers have changed meanwhile
NOT_LOGGED_IN = "cannot log in to Discord (%s); trying again, in %.0f s. Check the network and WEEKBOT_DISCORD_API_URL."


REFUSALS = {
    4004: TOKEN_REFUSED,
    4010: "Discord has no such shard; check WEEKBOT_SHARD_COUNT and WEEKBOT_SHARD_IDS.",
    4011: "The bot is in too many servers for so few shards; set a larger WEEKBOT_SHARD_COUNT, or remove it.",
    4012: "Discord no longer speaks this version of its gateway; update weekbot.",
    4013: "Discord does not know the intents that weekbot asks for; update weekbot.",
    4014: "Discord does not allow the bot's intents; check them in the developer portal, Bot, and update weekbot.",
}
"""What an operator has to change, by the code with which Discord closes the gateway for good."""


class GatewayError(WeekbotError):
    """Discord closes the gateway for good."""


async def run(settings: Settings, clock: Clock) -> None:
    """Run until SIGTERM or SIGINT. Raises WeekbotError for what an operator can put right."""
    token, gateway_url = require_token(settings.discord_token), settings.discord_gateway_url
    use_addresses(str(settings.discord_api_url), str(gateway_url) if gateway_url else None)
    async with (
        build(settings, ServerClock(clock)) as app,
        app.client,
        serve_health(app.metrics, app.readiness, settings.health_port),
    ):
        app.metrics.built(build_info())
        log.info("weekbot %(version)s starts, commit %(commit)s", build_info())
        await serve(app, token)


async def serve(app: App, token: str) -> None:
    """Log in, then deliver and stay connected, until SIGTERM or SIGINT.

    Raises TokenError, also if the token is revoked meanwhile, and GatewayError.
    """
    stop = stop_signal()
    on_reload_signal(app.live.reload)
    ends = [asyncio.create_task(event.wait()) for event in (stop, app.client.token_refused)]
    beside = [asyncio.create_task(_log_in_at_last(app, token))]
    try:
        await asyncio.wait({*beside, *ends}, return_when=asyncio.FIRST_COMPLETED)
        logged_in = beside[0].done()
        if logged_in:
            await beside[0]
            beside += await _deliver_until(ends, app)
            log.info("stopping; all posts in flight are finished")
        for task in beside:
            if task.done():
                await task
        if app.client.token_refused.is_set():
            raise TokenError(TOKEN_REFUSED)
        if logged_in:
            await app.session_record.succeed()
    finally:
        await app.client.close()
        await cancel_and_wait(*ends, *beside)


async def _deliver_until(ends: Sequence[asyncio.Task[object]], app: App) -> list[asyncio.Task[None]]:
    """Deliver until one of these, or the gateway, has ended for good; the tasks that go on beside."""
    connection, known = asyncio.create_task(_stay_connected(app)), asyncio.create_task(_know_servers(app))
    beside = [connection, known, asyncio.create_task(app.registration.keep_trying())]
    ends = [connection, *ends]
    await asyncio.wait({known, *ends}, timeout=HEAD_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    app.client.stand_for_election()
    async with delivering(app):
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    return beside


async def _log_in_at_last(app: App, token: str) -> None:
    """As soon as Discord can be reached. Raises TokenError."""
    reason = None
    for attempt in count(1):
        try:
            await log_in(app.client, token)
        except TokenError:
            raise
        except WeekbotError as error:
            wait = pause_after(error, attempt).total_seconds()
            if str(error) != reason:
                log.warning(NOT_LOGGED_IN, error, wait)
            reason = str(error)
            await app.client.reset_login()
            await asyncio.sleep(wait)
        else:
            return


async def _stay_connected(app: App) -> None:
    """Until the client is closed. Raises GatewayError."""
    for attempt in count(1):
        try:
            await app.client.connect()
        except GatewayRefusedError as error:
            raise GatewayError(REFUSALS[error.code]) from None
        except Exception:
            log.exception("unexpected error at the gateway; connecting again")
            await asyncio.sleep(pause(attempt).total_seconds())
        else:
            return


async def _know_servers(app: App) -> None:
    """They stay, so that what they take is tidied once they are there."""
    await app.client.came_online.wait()
    freeze_startup_objects()
