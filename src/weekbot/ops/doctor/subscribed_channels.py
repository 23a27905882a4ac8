"""The subscribed channels as Discord has them now, fetched once for each server, not one by one."""

from collections.abc import Sequence

import discord

from weekbot.db.database import Database
from weekbot.delivery.errors import PermanentError, RetryableError
from weekbot.discord_io import channel_checks
from weekbot.discord_io.guild_snapshot import GuildSnapshot, fetch_guild
from weekbot.discord_io.permissions import Channel
from weekbot.discord_io.threads import Threads
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import ENGLISH
from weekbot.ops.doctor.finding import Finding, Findings, answer_to, error, guarded, ok, warning
from weekbot.store.guilds import Guilds
from weekbot.store.subscriptions import Subscriptions

SERVER_SECONDS = 30  # for four requests, with the rate limiter
PART = "channel"
STATUS = "Its moderators can fix this; `/weekly status` shows them the same."
HEALED = "Everything seems to be fine now; weekbot tries again with the next post."
LEFT = "weekbot is no longer there. Invite it again, or all its data is deleted 30 days after it left."


async def check_channels(client: discord.Client, database: Database) -> Findings:
    """Yield a finding for each subscribed channel, or one for a server that can't be fetched or that the bot left."""
    guilds, store = Guilds(database), Subscriptions(database)
    for guild_id in sorted(await guilds.present_ids() | await guilds.left_ids()):
        if subscriptions := await store.of_guild(guild_id):
            async for finding in guarded(PART, _check_server(client, guild_id, subscriptions)):
                yield finding


async def _check_server(client: discord.Client, guild_id: int, subscriptions: Sequence[Subscription]) -> Findings:
    with_threads = any(each.parent_id for each in subscriptions)
    try:
        server = await answer_to(fetch_guild(client, guild_id, with_threads=with_threads), SERVER_SECONDS)
    except PermanentError:
        yield warning(PART, f"{len(subscriptions)} in server {guild_id}: {LEFT}")
        return
    threads = Threads(client)
    for subscription in subscriptions:
        try:
            yield await _finding(server, threads, subscription)
        except RetryableError as failure:
            yield warning(PART, f"{subscription.channel_id} in {server.guild.name}: {failure}. Run this again.")


async def _finding(server: GuildSnapshot, threads: Threads, subscription: Subscription) -> Finding:
    """Raises NotSentError if Discord doesn't report a thread's state."""
    channel = server.channels.get(subscription.channel_id) or server.channels.get(subscription.parent_id or 0)
    if not isinstance(channel, Channel):
        return error(PART, f"{subscription.channel_id} in {server.guild.name}: {channel_checks.GONE}.")
    name, have = f"#{channel.name} in {server.guild.name}", server.permissions(channel)
    problems = list(channel_checks.channel_problems(ENGLISH, have, channel, subscription))
    if channel.id != subscription.channel_id and have.view_channel:  # the snapshot has no archived threads
        thread = await threads.fetch(subscription.channel_id)
        problems += channel_checks.thread_problems(ENGLISH, have, thread)
    if problems:
        return error(PART, f"{name}: {'; '.join(problems)}. {STATUS}")
    if subscription.blocked:
        required = channel_checks.permissions_for_posts(channel, subscription)
        reason = channel_checks.describe_refusal(ENGLISH, subscription.blocked, required)
        return warning(PART, f"{name}: its last post was refused ({reason}). {HEALED}")
    return ok(PART, name)
