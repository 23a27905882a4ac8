"""Where a server's moderators are told what is wrong: its notices channel, else its system channel.

Without either, a channel with a weekly topic learns that something is wrong, but not what: all its members read it.
"""

from collections.abc import Iterator

import discord

from weekbot.bot.permissions import permissions
from weekbot.delivery.discord_errors import errors_told_apart
from weekbot.delivery.discord_mentions import no_mentions
from weekbot.delivery.discord_places import Places
from weekbot.delivery.outcomes import RefusedError
from weekbot.store.subscriptions import Subscription, Subscriptions

Writable = discord.TextChannel | discord.Thread


class Noticeboard:
    def __init__(self, client: discord.Client, subscriptions: Subscriptions) -> None:
        self._places = Places(client)
        self._subscriptions = subscriptions

    async def post(self, subscription: Subscription, text: str, nonce: str, public_text: str) -> None:
        """Post the text for moderators, or else the public text in a channel with a weekly topic.

        Raises RefusedError, without asking Discord, if the bot may not write in any such channel.
        """
        guild = self._places.guild(subscription.guild_id)
        board: Writable | None = board_of(guild, subscription.guild_notices_id) if guild else None
        if guild and board is None:
            board, text = await self._public_board(guild, subscription), public_text
        if board is None:
            raise RefusedError("it has no channel for notices that weekbot can write in")
        with errors_told_apart():
            await board.send(text, nonce=nonce, allowed_mentions=no_mentions())

    async def _public_board(self, guild: discord.Guild, subscription: Subscription) -> Writable | None:
        """The subscribed channel that is likeliest to work: the one in trouble comes last."""
        subscribed = await self._subscriptions.of_guild(guild.id)
        subscribed.sort(key=lambda each: (each.id == subscription.id, each.blocked is not None, each.paused, each.id))
        channels = (guild.get_channel_or_thread(each.channel_id) for each in subscribed)
        return next((each for each in channels if isinstance(each, Writable) and may_write(each)), None)


def board_of(guild: discord.Guild, notices_channel_id: int | None) -> discord.TextChannel | None:
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
