"""The channel for a server's notices: the notices channel, the system channel, or a subscribed one, for all to read."""

import discord

from weekbot.delivery.errors import PermanentError
from weekbot.discord_io.channels import ChannelDirectory
from weekbot.discord_io.errors import map_errors
from weekbot.discord_io.mentions import no_mentions
from weekbot.discord_io.permissions import may_write
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.errors import WeekbotError
from weekbot.store.subscriptions import Subscriptions

Writable = discord.TextChannel | discord.Thread


class NoticeChannels:
    def __init__(self, client: discord.Client, subscriptions: Subscriptions) -> None:
        self._channels = ChannelDirectory(client)
        self._subscriptions = subscriptions

    async def post(self, subscription: Subscription, text: str, nonce: str, public_text: str) -> None:
        """Post for moderators, or else publicly without details. Raises PermanentError if there is no channel."""
        guild = self._channels.own_guild(subscription.guild_id)
        channel: Writable | None = notice_channel_of(guild, subscription.guild_notices_id) if guild else None
        if guild and channel is None:
            channel, text = await self._public_channel(guild, subscription), public_text
        if channel is None:
            raise PermanentError("it has no channel for notices that weekbot can write in")
        with map_errors():
            await channel.send(text, nonce=nonce, allowed_mentions=no_mentions())

    async def _public_channel(self, guild: discord.Guild, subscription: Subscription) -> Writable | None:
        """Return the subscribed channel that most likely works. The one that the notice is about comes last."""
        subscribed = await self._subscriptions.of_guild(guild.id)
        subscribed.sort(key=lambda each: (each.id == subscription.id, each.blocked is not None, each.paused, each.id))
        channels = (guild.get_channel_or_thread(each.channel_id) for each in subscribed)
        return next((each for each in channels if isinstance(each, Writable) and may_write(each)), None)


def check_notice_channel(channel: discord.TextChannel) -> None:
    if not may_write(channel):
        raise WeekbotError(
            "I'm not allowed to write in {channel}. Give me {permissions} there, then try again.",
            channel=channel.mention,
            permissions=["View Channel", "Send Messages"],
        )


def notice_channel_of(guild: discord.Guild, notices_channel_id: int | None) -> discord.TextChannel | None:
    """Return the channel for moderators' notices, or None if the bot may not write in any."""
    for channel in (guild.get_channel(notices_channel_id or 0), guild.system_channel):
        if isinstance(channel, discord.TextChannel) and may_write(channel):
            return channel
    return None
