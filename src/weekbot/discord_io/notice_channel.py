"""Where a server's moderators are told what is wrong: its notices channel, else its system channel.

Without either, a channel with a weekly topic learns that something is wrong, but not what: all its members read it.
"""

from collections.abc import Iterator

import discord

from weekbot.delivery.errors import PermanentError
from weekbot.discord_io.channels import ChannelDirectory
from weekbot.discord_io.errors import map_errors
from weekbot.discord_io.mentions import no_mentions
from weekbot.discord_io.permissions import permissions
from weekbot.domain.subscriptions import Subscription
from weekbot.store.subscriptions import Subscriptions

Writable = discord.TextChannel | discord.Thread


class NoticeChannels:
    def __init__(self, client: discord.Client, subscriptions: Subscriptions) -> None:
        self._places = ChannelDirectory(client)
        self._subscriptions = subscriptions

    async def post(self, subscription: Subscription, text: str, nonce: str, public_text: str) -> None:
        """Post the text for moderators, or else the public text in a channel with a weekly topic.

        Raises PermanentError, without asking Discord, if the bot may not write in any such channel.
        """
        guild = self._places.guild(subscription.guild_id)
        board: Writable | None = notice_channel_of(guild, subscription.guild_notices_id) if guild else None
        if guild and board is None:
            board, text = await self._public_board(guild, subscription), public_text
        if board is None:
            raise PermanentError("it has no channel for notices that weekbot can write in")
        with map_errors():
            await board.send(text, nonce=nonce, allowed_mentions=no_mentions())

    async def _public_board(self, guild: discord.Guild, subscription: Subscription) -> Writable | None:
        """The subscribed channel that is likeliest to work: the one in trouble comes last."""
        subscribed = await self._subscriptions.of_guild(guild.id)
        subscribed.sort(key=lambda each: (each.id == subscription.id, each.blocked is not None, each.paused, each.id))
        channels = (guild.get_channel_or_thread(each.channel_id) for each in subscribed)
        return next((each for each in channels if isinstance(each, Writable) and may_write(each)), None)


def notice_channel_of(guild: discord.Guild, notices_channel_id: int | None) -> discord.TextChannel | None:
    """The channel in which moderators are told, if there is one that the bot may write in."""
    return next(_boards(guild, notices_channel_id), None)


def _boards(guild: discord.Guild, notices_channel_id: int | None) -> Iterator[discord.TextChannel]:
    """The channels to choose from, the best first."""
    for channel in (guild.get_channel(notices_channel_id or 0), guild.system_channel):
        if isinstance(channel, discord.TextChannel) and may_write(channel):
            yield channel


def may_write(channel: Writable) -> bool:
    have = permissions(channel)
    if isinstance(channel, discord.Thread):
        opened = have.manage_threads or not channel.locked
        return have.view_channel and have.send_messages_in_threads and opened
    return have.view_channel and have.send_messages
