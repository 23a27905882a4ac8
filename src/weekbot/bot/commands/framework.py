"""`/framework`: look a topic up."""

from typing import Any

import discord
from discord import app_commands

from weekbot.bot import cards
from weekbot.bot.answers import Interaction, answered, show
from weekbot.bot.commands.choices import topic_choices
from weekbot.bot.services import Services
from weekbot.content.model import ConceptBody, FrameworkBody, Topic
from weekbot.errors import WeekbotError

_HEADINGS = {
    name: str(field.title) for body in (FrameworkBody, ConceptBody) for name, field in body.model_fields.items()
}
_SECTIONS = [app_commands.Choice(name=heading, value=name) for name, heading in _HEADINGS.items()]


def framework(services: Services) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(description="Look a framework up")
    @app_commands.describe(
        name="A framework or concept: title, short name or alias",
        section="Only this part of it",
        private="Show the answer only to me",
    )
    @app_commands.choices(section=_SECTIONS)
    @answered
    async def framework(interaction: Interaction, name: str, section: str | None = None, private: bool = False) -> None:
        await look_up(interaction, services, name, section, private=private)

    @framework.autocomplete("name")
    async def names(_: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return topic_choices(services.library(), typed)

    return framework


async def look_up(
    interaction: Interaction, services: Services, name: str, section: str | None = None, *, private: bool = False
) -> None:
    """Answer with the topic of that name, or privately with its near misses."""
    library = services.library()
    topic = library.find(name)
    if topic is None:
        await show(interaction, cards.near_misses(name, library.near(name)), private=True)
    elif section is None:
        await show(interaction, await services.lookup(library, topic, interaction.channel_id), private=private)
    else:
        await show(interaction, _section(topic, section), private=private)


def _section(topic: Topic, section: str) -> cards.Card:
    headings = cards.section_names(topic)
    if section not in headings:
        raise WeekbotError(f"{topic.title} has no such section. It has: {', '.join(headings.values())}.")
    return cards.section(topic, section)
