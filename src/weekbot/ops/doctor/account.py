"""The bot's account at Discord: its token, its commands, its intents, and the gateway."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import aiohttp
import discord
from yarl import URL

from weekbot.bot.commands.registration import REGISTERED, described, differences, digest_of, fetch_registered, payloads
from weekbot.db.database import Database
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError, UnreadableAnswerError
from weekbot.discord_io.login import log_in, require_token
from weekbot.ops.doctor import finding
from weekbot.ops.doctor.finding import Finding, Findings, error, ok, warning
from weekbot.runtime.errors import describe
from weekbot.settings import Settings
from weekbot.store.metadata import Metadata

MOST_GUILDS = 2500  # a shard, by Discord's rules
FEW_STARTS = 0.1  # of a day's
HELLO = 10  # the opcode of the gateway's first message
CHECK_ADDRESS = "check the network and WEEKBOT_DISCORD_API_URL"
_PRIVILEGED = {
    "Presence": "gateway_presence",
    "Server Members": "gateway_guild_members",
    "Message Content": "gateway_message_content",
}


async def check_token(client: discord.Client, settings: Settings) -> Findings:
    """Log in. Raises TokenError."""
    token, host = require_token(settings.discord_token), settings.discord_api_url.host
    try:
        await finding.answer_to(log_in(client, token))
    except TimeoutError:
        yield error("token", f"{host} did not answer within {finding.ANSWER_SECONDS} s; {CHECK_ADDRESS}.")
    except UnreadableAnswerError:
        yield error("token", f"The server at {host} isn't Discord; {CHECK_ADDRESS}.")
    except (RetryableError, AmbiguousError, PermanentError) as trouble:
        yield error("token", f"It could not be checked at {host}: {trouble}; {CHECK_ADDRESS}.")
    else:
        yield ok("token", f"{host} accepts it; the bot is {client.user}")


async def check_commands(client: discord.Client, settings: Settings, database: Database | None) -> Findings:
    """Compare Discord's list with this version's. Raises delivery errors, and TimeoutError."""
    ours = await payloads(described(client, has_home_channel=settings.home_channel_id is not None))
    theirs = await finding.answer_to(fetch_registered(client))
    differing = "; ".join(differences(ours, theirs))
    if not differing:
        yield ok("commands", f"Discord lists all {len(ours)} commands of this version")
    elif not theirs:
        yield warning("commands", "Discord lists none yet; `weekbot run` will register them.")
    elif database and await Metadata(database).get(REGISTERED) == digest_of(client.application_id, ours):
        cause = "Something else has registered commands with this token since weekbot did"
        remedy = "Stop it, then restart weekbot, which registers its own"
        yield error("commands", f"Discord's list {differing}. {cause}. {remedy}.")
    else:
        yield warning("commands", f"Discord's list {differing}; weekbot registers its own when it starts. Restart it.")


def check_intents(application: discord.AppInfo) -> Iterator[Finding]:
    flags = application.flags
    on = [name for name, flag in _PRIVILEGED.items() if getattr(flags, flag) or getattr(flags, f"{flag}_limited")]
    if on:
        them = f"{', '.join(on)} {'is' if len(on) == 1 else 'are'} switched on"
        remedy = "Change that in the developer portal, Bot."
        yield warning("intents", f"weekbot needs no privileged intents, but {them}. {remedy}")
    else:
        yield ok("intents", "only `guilds` is requested, and no privileged intent is switched on")


async def check_gateway(client: discord.Client, application: discord.AppInfo, settings: Settings) -> Findings:
    """Check that the gateway says hello, the number of shards, and the number of sessions left."""
    try:
        recommended, url, starts = await finding.answer_to(client.http.get_bot_gateway())
    except (TimeoutError, discord.GatewayNotFound, RetryableError, AmbiguousError) as trouble:
        yield error("gateway", f"Discord didn't return the gateway's address ({describe(trouble)}); try again later.")
        return
    yield await _hello(str(settings.discord_gateway_url or url))
    yield check_shards(settings, recommended, application.approximate_guild_count)
    shards_here = len(settings.shard_ids or ()) or settings.shard_count or recommended
    yield check_sessions(dict(starts), shards_here)


async def _hello(url: str) -> Finding:
    """Connect without beginning a session, which would use up one of the day's."""
    host = URL(url).host
    try:
        async with (
            asyncio.timeout(finding.ANSWER_SECONDS),
            aiohttp.ClientSession() as session,
            session.ws_connect(url, params={"v": "10", "encoding": "json"}) as socket,
        ):
            hello = await socket.receive_json()
    except (TimeoutError, aiohttp.ClientError, OSError, TypeError, ValueError) as trouble:
        what = f"{host} cannot be reached ({describe(trouble)})"
        return error("gateway", f"{what}; check the network, and WEEKBOT_DISCORD_GATEWAY_URL if it is set.")
    if not isinstance(hello, dict) or hello.get("op") != HELLO:
        return error("gateway", f"The server at {host} isn't Discord's gateway; check WEEKBOT_DISCORD_GATEWAY_URL.")
    return ok("gateway", f"{host} answers")


def check_shards(settings: Settings, recommended: int, guilds: int) -> Finding:
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


def check_sessions(starts: dict[str, Any], needed: int) -> Finding:
    remaining, total = starts["remaining"], starts["total"]
    full = timedelta(seconds=round(starts["reset_after"] / 1000))
    left = f"{remaining} of {total} session starts are left, {needed} needed at a time; they reset in {full}"
    if remaining < needed:
        return error("sessions", f"{left}. Restart nothing until then: running processes continue, new ones must wait.")
    if remaining < total * FEW_STARTS:
        return warning("sessions", f"{left}. Check the log for why weekbot keeps restarting.")
    return ok("sessions", left)
