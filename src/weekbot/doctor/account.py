"""The bot's account at Discord: its token, its intents, and the gateway."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from typing import Any

import aiohttp
import discord
from yarl import URL

from weekbot.delivery.discord_errors import errors_told_apart
from weekbot.delivery.outcomes import NotSentError, OutcomeUnknownError, RefusedError, UnreadableAnswerError
from weekbot.doctor.finding import Finding, error, ok, warning
from weekbot.errors import said
from weekbot.run import log_in, token_of
from weekbot.settings import Settings

PATIENCE_SECONDS = 15
MOST_GUILDS = 2500  # of a shard, by Discord
FEW_STARTS = 0.1  # of a day's
HELLO = 10  # by which the gateway begins
CHECK_ADDRESS = "check the network and WEEKBOT_DISCORD_API_URL"
_PRIVILEGED = {
    "Presence": ("gateway_presence", "gateway_presence_limited"),
    "Server Members": ("gateway_guild_members", "gateway_guild_members_limited"),
    "Message Content": ("gateway_message_content", "gateway_message_content_limited"),
}


async def of_token(client: discord.Client, settings: Settings) -> AsyncIterator[Finding]:
    """Logs in. Raises TokenError."""
    token, host = token_of(settings), settings.discord_api_url.host
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            with errors_told_apart():
                await log_in(client, token)
    except TimeoutError:
        yield error("token", f"{host} did not answer within {PATIENCE_SECONDS} s; {CHECK_ADDRESS}.")
    except UnreadableAnswerError:
        yield error("token", f"The server at {host} isn't Discord; {CHECK_ADDRESS}.")
    except (NotSentError, OutcomeUnknownError, RefusedError) as trouble:
        yield error("token", f"It could not be checked at {host}: {trouble}; {CHECK_ADDRESS}.")
    else:
        yield ok("token", f"{host} accepts it; the bot is {client.user}")


def of_intents(application: discord.AppInfo) -> Iterator[Finding]:
    on = [name for name, flags in _PRIVILEGED.items() if any(getattr(application.flags, flag) for flag in flags)]
    if on:
        them = f"{', '.join(on)} {'is' if len(on) == 1 else 'are'} switched on"
        yield warning(
            "intents", f"weekbot needs no privileged intents, but {them}. Change that in the developer portal, Bot."
        )
    else:
        yield ok("intents", "only `guilds` is requested, and no privileged intent is switched on")


async def of_gateway(
    client: discord.Client, application: discord.AppInfo, settings: Settings
) -> AsyncIterator[Finding]:
    """How many sessions may begin, and how many shards there should be; and whether the gateway says hello."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            with errors_told_apart():
                recommended, url, starts = await client.http.get_bot_gateway()
    except (TimeoutError, discord.GatewayNotFound, NotSentError, OutcomeUnknownError) as trouble:
        yield error("gateway", f"Discord didn't return the gateway's address ({said(trouble)}); try again later.")
        return
    yield await _greeting(str(settings.discord_gateway_url or url))
    yield of_shards(settings, recommended, application.approximate_guild_count)
    yield of_sessions(dict(starts), _shards_here(settings.shard_count or recommended, settings.shard_ids))


async def _greeting(url: str) -> Finding:
    """No session begins, so that none of the day's is used up."""
    host = URL(url).host
    try:
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            aiohttp.ClientSession() as session,
            session.ws_connect(url, params={"v": "10", "encoding": "json"}) as socket,
        ):
            hello = await socket.receive_json()
    except (TimeoutError, aiohttp.ClientError, OSError, TypeError, ValueError) as trouble:
        what = f"{host} cannot be reached ({said(trouble)})"
        return error("gateway", f"{what}; check the network, and WEEKBOT_DISCORD_GATEWAY_URL if it is set.")
    if not isinstance(hello, dict) or hello.get("op") != HELLO:
        return error("gateway", f"The server at {host} isn't Discord's gateway; check WEEKBOT_DISCORD_GATEWAY_URL.")
    return ok("gateway", f"{host} answers")


def of_shards(settings: Settings, recommended: int, guilds: int) -> Finding:
    count, advice = settings.shard_count, f"set WEEKBOT_SHARD_COUNT to {recommended}, or remove it"
    if count is None:
        return ok("shards", f"{recommended}, as Discord recommends for {guilds} servers")
    if guilds > count * MOST_GUILDS:
        most = f"Discord allows {MOST_GUILDS} servers per shard, and there are {guilds}"
        return error("shards", f"WEEKBOT_SHARD_COUNT is {count}: {most}; {advice}.")
    if count < recommended:
        few = f"WEEKBOT_SHARD_COUNT is {count}, and Discord recommends {recommended} for {guilds} servers"
        return warning("shards", f"{few}; {advice}.")
    return ok("shards", f"{count}; Discord recommends {recommended} for {guilds} servers")


def _shards_here(count: int, ids: Sequence[int] | None) -> int:
    return len(ids) if ids else count


def of_sessions(starts: dict[str, Any], needed: int) -> Finding:
    remaining, total = starts["remaining"], starts["total"]
    full = timedelta(seconds=round(starts["reset_after"] / 1000))
    left = f"{remaining} of {total} session starts are left, {needed} needed at a time; they reset in {full}"
    if remaining < needed:
        return error("sessions", f"{left}. Restart nothing until then: running processes continue, new ones must wait.")
    if remaining < total * FEW_STARTS:
        return warning("sessions", f"{left}. Check the log for why weekbot keeps restarting.")
    return ok("sessions", left)
