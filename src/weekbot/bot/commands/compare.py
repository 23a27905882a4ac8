"""`/compare`: two topics side by side."""

from typing import Any

import discord
from discord import app_commands

from weekbot.bot import cards
from weekbot.bot.answers import Interaction, answered, show
from weekbot.bot.commands.choices import topic_choices
from weekbot.bot.options import parse_topic
from weekbot.bot.services import Services
from weekbot.errors import WeekbotError


def compare(services: Services) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(description="Set two topics side by side")
    @app_commands.describe(first="Title, short name or alias", second="What to compare it with")
    @answered
    async def compare(interaction: Interaction, first: str, second: str) -> None:
        one, other = (parse_topic(services.library(), name) for name in (first, second))
        if one is other:
            raise WeekbotError(f"Both names lead to {one.title}. Choose two topics.")
        await show(interaction, cards.comparison(one, other))

    @compare.autocomplete("first")
    @compare.autocomplete("second")
    async def names(_: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return topic_choices(services.library(), typed)

    return compare
