"""The option for a channel that can have a weekly topic, including archived threads."""

import discord
from discord.app_commands import AppCommandChannel, AppCommandThread, Transform, TransformerError
from discord.app_commands.transformers import BaseChannelTransformer

from weekbot.bot.acknowledgement import acknowledge
from weekbot.bot.responses import Interaction
from weekbot.delivery.errors import PermanentError
from weekbot.discord_io.errors import map_errors
from weekbot.discord_io.permissions import Channel

CHANNEL_TYPES = (discord.TextChannel, discord.ForumChannel, discord.Thread)


class ChannelTransformer(BaseChannelTransformer[discord.Client]):
    """Fetches archived threads, which aren't in discord.py's cache."""

    async def transform(self, interaction: Interaction, value: AppCommandChannel | AppCommandThread, /) -> Channel:
        """Raises TransformerError if the bot can't see the channel."""
        found: object = value.resolve()
        if found is None and isinstance(value, AppCommandThread):
            found = await _fetch(interaction, value)
        if not isinstance(found, CHANNEL_TYPES):
            raise TransformerError(value, discord.AppCommandOptionType.channel, self)
        return found


async def _fetch(interaction: Interaction, thread: AppCommandThread) -> discord.Thread | None:
    """Fetch the thread; None if it is gone or hidden."""
    await acknowledge(interaction)  # the request may wait for the rate limiter
    try:
        with map_errors():
            return await thread.fetch()
    except PermanentError:
        return None


ChosenChannel = Transform[Channel, ChannelTransformer(*CHANNEL_TYPES)]
