"""`/weekly follow`: there where the operator has a home channel to follow."""

from typing import Any

import discord
from discord import app_commands

from weekbot.bot.answers import Interaction, answered, say
from weekbot.bot.services import Services
from weekbot.errors import WeekbotError

FOLLOWS = (
    "{channel} follows weekbot's own channel: each week's topic appears there by itself. "
    "To end it, remove the follower under *Integrations* in the channel's settings."
)
FOLLOWED_BEFORE = "{channel} follows weekbot's own channel already."
TEXT_ONLY = "Only a text channel can follow. Choose one, or use `/weekly subscribe`."


def follow(services: Services) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(description="Let Discord itself bring weekbot's own weekly post here")
    @app_commands.describe(channel="Which text channel; this one where left out")
    @answered
    async def follow(interaction: Interaction, channel: discord.TextChannel | None = None) -> None:
        target = channel or interaction.channel
        if not isinstance(target, discord.TextChannel) or target.is_news():
            raise WeekbotError(TEXT_ONLY)
        await interaction.response.defer(ephemeral=True, thinking=True)
        text = FOLLOWS if await services.following.begin(target) else FOLLOWED_BEFORE
        await say(interaction, text.format(channel=target.mention))

    return follow
