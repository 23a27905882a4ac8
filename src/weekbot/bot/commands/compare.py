"""`/compare`: two topics side by side."""

from typing import Any

import discord
from discord import app_commands

from weekbot.bot.cards.comparison import comparison
from weekbot.bot.commands.arguments import parse_topic
from weekbot.bot.commands.autocomplete import topic_choices
from weekbot.bot.responses import Interaction, explains_mistakes, member_language, server_language, show
from weekbot.bot.services import GetLookup
from weekbot.runtime.errors import WeekbotError


def compare(get_lookup: GetLookup) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(description="Compare two topics")
    @app_commands.describe(first="Title, short name or alias", second="Topic to compare it with")
    @explains_mistakes
    async def compare(interaction: Interaction, first: str, second: str) -> None:
        one, other = (parse_topic(get_lookup().library(), name) for name in (first, second))
        if one is other:
            raise WeekbotError("Both names refer to {topic}. Choose two different topics.", topic=one.title)
        await show(interaction, comparison(server_language(interaction), one, other))

    @compare.autocomplete("first")
    @compare.autocomplete("second")
    async def names(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return topic_choices(member_language(interaction), get_lookup().library(), typed)

    return compare
