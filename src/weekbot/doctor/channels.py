"""The subscribed channels, as Discord has them now: asked for once a server, not channel by channel."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import discord

from weekbot.bot.inspection import GONE, channel_problems, needs_in, refusal, thread_problems
from weekbot.bot.permissions import Channel
from weekbot.delivery.discord_errors import errors_told_apart
from weekbot.delivery.discord_threads import Threads
from weekbot.delivery.outcomes import NotSentError, RefusedError
from weekbot.doctor.finding import Finding, error, ok, warning
from weekbot.doctor.guard import guarded
from weekbot.doctor.records import Records
from weekbot.language import ENGLISH
from weekbot.store.subscriptions import Subscription

PATIENCE_SECONDS = 30  # four requests, at the pace
PART = "channel"
STATUS = "Its moderators can fix this; `/weekly status` shows them the same."
HEALED = "Everything seems to be fine now; weekbot tries again with the next post."
LEFT = "weekbot is no longer there. Invite it again, or all its data is deleted 30 days after it left."


@dataclass(frozen=True)
class _Server:
    """With all its channels, and its threads where they were asked for, by their ids."""

    guild: discord.Guild
    me: discord.Member
    places: dict[int, discord.abc.GuildChannel | discord.Thread]

    def permissions(self, channel: Channel) -> discord.Permissions:
        """A thread has those of its channel, which it does not know by itself here."""
        if not isinstance(channel, discord.Thread):
            return channel.permissions_for(self.me)
        parent = self.places.get(channel.parent_id)
        if not isinstance(parent, discord.abc.GuildChannel):
            return discord.Permissions.none()
        return discord.abc.GuildChannel.permissions_for(parent, self.me)


async def of_channels(client: discord.Client, records: Records) -> AsyncIterator[Finding]:
    """One for each subscribed channel; one for all those of a server that cannot be looked at."""
    async for subscriptions in records.subscriptions():
        async for finding in guarded(PART, _of_server(client, subscriptions)):
            yield finding


async def _of_server(client: discord.Client, subscriptions: Sequence[Subscription]) -> AsyncIterator[Finding]:
    guild_id = subscriptions[0].guild_id
    try:
        server = await _fetched(client, guild_id, subscriptions)
    except RefusedError:
        yield warning(PART, f"{len(subscriptions)} in server {guild_id}: {LEFT}")
        return
    threads = Threads(client)
    for subscription in subscriptions:
        try:
            yield await _finding(server, threads, subscription)
        except NotSentError as failure:
            yield warning(PART, f"{subscription.channel_id} in {server.guild.name}: {failure}. Run this again.")


async def _fetched(client: discord.Client, guild_id: int, subscriptions: Sequence[Subscription]) -> _Server:
    """Raises RefusedError where the bot is not in the server, the other errors of `outcomes`, and TimeoutError."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with errors_told_apart():
            guild = await client.fetch_guild(guild_id, with_counts=False)
            me = await guild.fetch_member(_own_id(client))
            found: list[discord.abc.GuildChannel | discord.Thread] = list(await guild.fetch_channels())
            if any(each.parent_id for each in subscriptions):
                found += await guild.active_threads()
    return _Server(guild, me, {each.id: each for each in found})


async def _finding(server: _Server, threads: Threads, subscription: Subscription) -> Finding:
    """Raises NotSentError if Discord does not say how a thread is."""
    channel = server.places.get(subscription.channel_id) or server.places.get(subscription.parent_id or 0)
    if not isinstance(channel, Channel):
        return error(PART, f"{subscription.channel_id} in {server.guild.name}: {GONE}.")
    name, have = f"#{channel.name} in {server.guild.name}", server.permissions(channel)
    problems = list(channel_problems(ENGLISH, have, channel, subscription))
    if channel.id != subscription.channel_id and have.view_channel:  # an archived thread is not among the places
        problems += thread_problems(ENGLISH, have, await threads.look(subscription.channel_id))
    if problems:
        return error(PART, f"{name}: {'; '.join(problems)}. {STATUS}")
    if subscription.blocked:
        reason = refusal(ENGLISH, subscription.blocked, needs_in(channel, subscription))
        return warning(PART, f"{name}: its last post was refused ({reason}). {HEALED}")
    return ok(PART, name)


def _own_id(client: discord.Client) -> int:
    if client.user is None:
        raise RuntimeError("known after login only")
    return client.user.id
