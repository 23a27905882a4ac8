"""`/framework`: look up a topic."""

from typing import Any

import discord
from discord import app_commands

from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.card import Card
from weekbot.bot.cards.topic_lists import near_misses
from weekbot.bot.channel_ref import channel_ref
from weekbot.bot.commands.arguments import by_name
from weekbot.bot.commands.autocomplete import topic_choices
from weekbot.bot.responses import Interaction, explains_mistakes, member_language, server_language, show
from weekbot.bot.services import GetLookup
from weekbot.bot.topic_lookup import TopicLookup
from weekbot.content.model import ConceptBody, FrameworkBody, Topic
from weekbot.i18n.language import ENGLISH, N_, Language
from weekbot.runtime.errors import WeekbotError

_HEADINGS = {
    name: str(field.title) for body in (FrameworkBody, ConceptBody) for name, field in body.model_fields.items()
}
_SECTIONS = [app_commands.Choice(name=heading, value=name) for name, heading in _HEADINGS.items()]


def framework(get_lookup: GetLookup) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(description="Look up a framework")
    @app_commands.describe(
        name="Framework or concept: title, short name or alias",
        section="Show only this section",
        private="Show the answer only to me",
    )
    @app_commands.choices(section=_SECTIONS)
    @explains_mistakes
    async def framework(interaction: Interaction, name: str, section: str | None = None, private: bool = False) -> None:
        await look_up(interaction, get_lookup(), name, section, private=private)

    @framework.autocomplete("name")
    async def names(interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return topic_choices(member_language(interaction), get_lookup().library(), typed)

    return framework


async def look_up(
    interaction: Interaction, lookup: TopicLookup, name: str, section: str | None = None, *, private: bool = False
) -> None:
    """Respond with the topic of that name, or privately with topics of similar names."""
    tr = member_language(interaction) if private else server_language(interaction)
    topic = lookup.find(name)
    if topic is None:
        similar = lookup.library().similar(name)
        await show(interaction, near_misses(member_language(interaction), name, similar), private=True)
    elif section is None:
        await show(interaction, await lookup.card(tr, topic, channel_ref(interaction)), private=private)
    else:
        await show(interaction, _section(tr, topic, by_name(section, _HEADINGS)), private=private)


def _section(tr: Language, topic: Topic, section: str | None) -> Card:
    names = topic_cards.section_names(ENGLISH, topic)
    if section is None or section not in names:
        sentence = N_("{topic} doesn't have that section. Choose one of these: {sections}.")
        raise WeekbotError(sentence, topic=topic.title, sections=list(names.values()))
    return topic_cards.section(tr, topic, section)
