"""`/weekly follow`: there where the operator has a home channel to follow."""

from typing import Any

import discord
from discord import app_commands

from weekbot.bot.acknowledgement import changes
from weekbot.bot.responses import Interaction, member_language, say
from weekbot.bot.services import Services, channel_here
from weekbot.i18n.language import N_
from weekbot.runtime.errors import WeekbotError

FOLLOWS = N_(
    "{channel} now follows weekbot's own channel: each week's topic appears there automatically. To stop following, "
    "remove the follower under *Integrations* in the channel's settings."
)
FOLLOWED_BEFORE = N_("{channel} already follows weekbot's own channel.")


def follow(services: Services) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(description="Follow weekbot's own channel to get its weekly post here")
    @app_commands.describe(channel="Text channel (default: this one)")
    @changes
    async def follow(interaction: Interaction, channel: discord.TextChannel | None = None) -> None:
        target = channel or await channel_here(interaction, services)
        if not isinstance(target, discord.TextChannel) or target.is_news():
            raise WeekbotError("Only a text channel can follow. Choose one, or use `/weekly subscribe`.")
        text = FOLLOWS if await services.following.begin(target) else FOLLOWED_BEFORE
        await say(interaction, member_language(interaction)(text, channel=target.mention))

    return follow
