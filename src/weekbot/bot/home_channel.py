"""The home channel: Discord repeats its posts in all channels that follow it, at no cost for the bot."""

import asyncio

import discord

from weekbot.discord_io.errors import map_errors
from weekbot.discord_io.permissions import permissions_in
from weekbot.i18n.language import N_
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.store.follows import Follows

WHY = "weekbot's weekly topic"
LACKING = N_(
    "To follow, I need {permissions} in {channel}. Allow that in the channel's settings, then try again. `/weekly "
    "subscribe` works without it."
)
MANAGE_WEBHOOKS = N_("Manage Webhooks")


class NoHomeError(WeekbotError):
    """There is no channel to follow right now. Ask the bot's operator to check WEEKBOT_HOME_CHANNEL_ID."""


class HomeChannel:
    def __init__(self, client: discord.Client, home_channel_id: int | None, follows: Follows, clock: Clock) -> None:
        self._id = home_channel_id
        self._client = client
        self._follows = follows
        self._clock = clock
        self._following = asyncio.Lock()

    async def follow(self, channel: discord.TextChannel) -> bool:
        """Make the channel follow the home channel. Returns False if it did already.

        Raises WeekbotError if the bot lacks a permission, and delivery errors.
        """
        if not permissions_in(channel).manage_webhooks:
            raise WeekbotError(LACKING, permissions=[MANAGE_WEBHOOKS], channel=channel.mention)
        home = await self._home()
        async with self._following:  # otherwise a double click would make it follow twice
            with map_errors():
                if new := not await self._follows_already(channel):
                    await home.follow(destination=channel, reason=WHY)
            await self._follows.add(channel.guild.id, channel.id, self._clock.now())
        return new

    async def followers(self, guild_id: int) -> list[int]:
        """Return the ids of the server's channels that began to follow through the bot."""
        return await self._follows.of_guild(guild_id)

    async def _home(self) -> discord.TextChannel:
        if self._id is None:
            raise NoHomeError
        try:  # the cache lacks it if its server belongs to another process
            home = self._client.get_channel(self._id) or await self._client.fetch_channel(self._id)
        except discord.HTTPException as error:
            raise NoHomeError from error
        if not isinstance(home, discord.TextChannel) or not home.is_news():
            raise NoHomeError
        return home

    async def _follows_already(self, channel: discord.TextChannel) -> bool:
        """Ask Discord, because a channel that follows twice gets every post twice."""
        followers = (each for each in await channel.webhooks() if each.type is discord.WebhookType.channel_follower)
        return any(each.source_channel and each.source_channel.id == self._id for each in followers)
