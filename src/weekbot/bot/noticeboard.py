"""Where a server's moderators are told what is wrong: its notices channel, else its system channel."""

from collections.abc import Iterator

import discord

from weekbot.bot.permissions import permissions
from weekbot.delivery.discord_errors import errors_told_apart
from weekbot.delivery.discord_mentions import no_mentions
from weekbot.delivery.discord_places import Places
from weekbot.delivery.outcomes import RefusedError
from weekbot.store.subscriptions import Subscription


class Noticeboard:
    def __init__(self, client: discord.Client) -> None:
        self._places = Places(client)

    async def post(self, subscription: Subscription, text: str, nonce: str) -> None:
        """Raises RefusedError where there is no channel that the bot may write in, without having asked Discord."""
        guild = self._places.guild(subscription.guild_id)
        board = next(_boards(guild, subscription), None) if guild else None
        if board is None:
            raise RefusedError("it has no channel for notices that weekbot may write in")
        with errors_told_apart():
            await board.send(text, nonce=nonce, allowed_mentions=no_mentions())


def _boards(guild: discord.Guild, subscription: Subscription) -> Iterator[discord.TextChannel]:
    """The channels to choose from, the best first."""
    for channel in (guild.get_channel(subscription.guild_notices_id or 0), guild.system_channel):
        if isinstance(channel, discord.TextChannel) and may_write(channel):
            yield channel


def may_write(channel: discord.TextChannel) -> bool:
    have = permissions(channel)
    return have.view_channel and have.send_messages
