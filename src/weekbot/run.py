"""`weekbot run`: posting needs only a log-in; the gateway and the registration of commands recover by themselves."""

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

HEAD_START_SECONDS = 15.0  # for the gateway, which reports what has changed in servers meanwhile
NOT_LOGGED_IN = "cannot log in to Discord (%s); trying again, in %.0f s. Check the network and WEEKBOT_DISCORD_API_URL."

REFUSALS = {
    4004: TOKEN_REFUSED,
    4010: "Discord has no such shard; check WEEKBOT_SHARD_COUNT and WEEKBOT_SHARD_IDS.",
    4011: "The bot is in too many servers for its number of shards; set a larger WEEKBOT_SHARD_COUNT, or remove it.",
    4012: "Discord no longer speaks this version of its gateway; update weekbot.",
    4013: "Discord does not know the intents that weekbot requests; update weekbot.",
    4014: "Discord does not allow the bot's intents; check them in the developer portal, Bot, and update weekbot.",
}
"""What an operator has to change, by the code with which Discord closes the gateway permanently."""


class GatewayError(WeekbotError):
    """Discord closes the gateway for good."""


async def run(settings: Settings, clock: Clock) -> None:
    """Run until SIGTERM or SIGINT. Raises WeekbotError for problems that an operator can fix."""
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
    """Log in, then deliver until SIGTERM or SIGINT. Raises GatewayError, and TokenError if the token is refused."""
    stop = stop_signal()
    on_reload_signal(app.live.reload)
    ends = [asyncio.create_task(event.wait()) for event in (stop, app.client.token_refused)]
    tasks = [asyncio.create_task(_log_in_with_retries(app, token))]
    try:
        await asyncio.wait({*tasks, *ends}, return_when=asyncio.FIRST_COMPLETED)
        logged_in = tasks[0].done()
        if logged_in:
            await tasks[0]
            await _deliver_until(ends, app, tasks)
            log.info("stopping; all posts in flight are finished")
        for task in tasks:
            if task.done():
                await task
        if app.client.token_refused.is_set():
            raise TokenError(TOKEN_REFUSED)
        if logged_in:
            await app.session_record.succeed()
    finally:
        await app.client.close()
        await cancel_and_wait(*ends, *tasks)


async def _deliver_until(ends: Sequence[asyncio.Task[object]], app: App, tasks: list[asyncio.Task[None]]) -> None:
    """Deliver until one of `ends` or the gateway has ended; add the tasks that this starts to `tasks`."""
    gateway, online = asyncio.create_task(_stay_connected(app)), asyncio.create_task(_freeze_when_online(app))
    tasks += [gateway, online, asyncio.create_task(app.registration.keep_trying())]
    ends = [gateway, *ends]
    await asyncio.wait({online, *ends}, timeout=HEAD_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    app.client.stand_for_election()
    async with delivering(app):
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)


async def _log_in_with_retries(app: App, token: str) -> None:
    """Raises TokenError."""
    reason = None
    for attempt in count(1):
        try:
            await log_in(app.client, token)
            return
        except TokenError:
            raise
        except WeekbotError as error:
            wait = pause_after(error, attempt).total_seconds()
            if str(error) != reason:
                log.warning(NOT_LOGGED_IN, error, wait)
            reason = str(error)
            await app.client.reset_login()
            await asyncio.sleep(wait)


async def _stay_connected(app: App) -> None:
    """Return when the client is closed. Raises GatewayError."""
    for attempt in count(1):
        try:
            await app.client.connect()
            return
        except GatewayRefusedError as error:
            raise GatewayError(REFUSALS[error.code]) from None
        except Exception:
            log.exception("unexpected error at the gateway; connecting again")
            await asyncio.sleep(pause(attempt).total_seconds())


async def _freeze_when_online(app: App) -> None:
    """The servers' objects are long-lived, too, so the garbage collector needn't scan them."""
    await app.client.came_online.wait()
    freeze_startup_objects()
