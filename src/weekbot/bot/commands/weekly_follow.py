"""`/weekly follow`: exists only if the operator has a home channel."""

from collections.abc import Callable
from typing import Any

import discord
from discord import app_commands

from weekbot.bot.acknowledgement import acknowledges_first
from weekbot.bot.channel_ref import current_channel
from weekbot.bot.home_channel import HomeChannel
from weekbot.bot.responses import Interaction, member_language, say
from weekbot.i18n.language import N_
from weekbot.runtime.errors import WeekbotError
from weekbot.store.subscriptions import Subscriptions

FOLLOWS = N_(
    "{channel} now follows weekbot's own channel: each week's topic appears there automatically. To stop following, "
    "remove the follower under *Integrations* in the channel's settings."
)
FOLLOWED_BEFORE = N_("{channel} already follows weekbot's own channel.")


def follow(
    home_channel: Callable[[], HomeChannel], subscriptions: Callable[[], Subscriptions]
) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(description="Follow weekbot's own channel to get its weekly post here")
    @app_commands.describe(channel="Text channel (default: this one)")
    @acknowledges_first
    async def follow(interaction: Interaction, channel: discord.TextChannel | None = None) -> None:
        target = channel or await current_channel(interaction, subscriptions())
        if not isinstance(target, discord.TextChannel) or target.is_news():
            raise WeekbotError("Only a text channel can follow. Choose one, or use `/weekly subscribe`.")
        text = FOLLOWS if await home_channel().follow(target) else FOLLOWED_BEFORE
        await say(interaction, member_language(interaction)(text, channel=target.mention))

    return follow
