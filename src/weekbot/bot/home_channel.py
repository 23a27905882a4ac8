"""Following the home channel: Discord itself repeats what is published there, one message a week for all followers."""

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


class Following:
    def __init__(self, client: discord.Client, home_channel_id: int | None, follows: Follows, clock: Clock) -> None:
        self.home_channel_id = home_channel_id
        self._client = client
        self._follows = follows
        self._clock = clock
        self._beginning = asyncio.Lock()

    async def begin(self, channel: discord.TextChannel) -> bool:
        """Let the channel follow; False where it did already.

        Raises WeekbotError where the bot may not, and the errors of `outcomes`.
        """
        if not permissions_in(channel).manage_webhooks:
            raise WeekbotError(LACKING, permissions=[MANAGE_WEBHOOKS], channel=channel.mention)
        home = await self._home()
        async with self._beginning:  # otherwise a double click would follow twice
            return await self._follow(home, channel)

    async def _follow(self, home: discord.TextChannel, channel: discord.TextChannel) -> bool:
        with map_errors():
            new = not await self._follows_already(channel)
            if new:
                await home.follow(destination=channel, reason=WHY)
        await self._follows.add(channel.guild.id, channel.id, self._clock.now())
        return new

    async def of_guild(self, guild_id: int) -> list[int]:
        """The ids of the server's channels that follow, as far as was begun here."""
        return await self._follows.of_guild(guild_id)

    async def _home(self) -> discord.TextChannel:
        if self.home_channel_id is None:
            raise NoHomeError
        home = self._client.get_channel(self.home_channel_id)
        if home is None:  # another process's server
            try:
                home = await self._client.fetch_channel(self.home_channel_id)
            except discord.HTTPException as error:
                raise NoHomeError from error
        if not isinstance(home, discord.TextChannel) or not home.is_news():
            raise NoHomeError
        return home

    async def _follows_already(self, channel: discord.TextChannel) -> bool:
        """As Discord has it: to follow twice would bring every post twice."""
        followers = (each for each in await channel.webhooks() if each.type is discord.WebhookType.channel_follower)
        return any(each.source_channel and each.source_channel.id == self.home_channel_id for each in followers)
