"""Buttons and selects: answered from their custom id, so that they outlive restarts and content edits."""

import re
from typing import Any, Self

import discord
from discord import ui

from weekbot.bot import cards, custom_ids
from weekbot.bot.answers import Interaction, explain, show
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.errors import WeekbotError


class TopicGoneError(WeekbotError):
    """This topic is no longer in the book. `/topic list` shows those that are."""


class Pressed(ui.DynamicItem[ui.Item[Any]], template=r"weekbot:never"):
    """A component of a card that was pressed; `match` is its custom id."""

    def __init__(self, item: ui.Item[Any], match: re.Match[str]) -> None:
        super().__init__(item)
        self.match = match

    @classmethod
    async def from_custom_id(cls, _: Interaction, item: ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(item, match)

    async def callback(self, interaction: Interaction) -> None:
        try:
            await self.answer(interaction, interaction.client.services.library())
        except Exception as error:
            await explain(interaction, error)

    async def answer(self, interaction: Interaction, library: Library) -> None:
        raise NotImplementedError

    def topic(self, library: Library) -> Topic:
        """The topic in the custom id; one that was renamed is found by its alias."""
        topic = library.find(self.match["slug"])
        if topic is None:
            raise TopicGoneError
        return topic


class TopicButton(Pressed, template=custom_ids.TOPIC):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        card = await interaction.client.services.lookup(library, self.topic(library), interaction.channel_id)
        await show(interaction, card, private=True)


class More(TopicButton, template=custom_ids.MORE):
    """The same, on a post."""


class Sections(Pressed, template=custom_ids.SECTIONS):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        topic = self.topic(library)
        chosen = self.item.values[0] if isinstance(self.item, ui.Select) else ""
        if chosen not in cards.section_names(topic):
            raise WeekbotError("This topic has no such section any more.")
        await show(interaction, cards.section(topic, chosen), private=True)


class TrackPage(Pressed, template=custom_ids.TRACK):
    async def answer(self, interaction: Interaction, library: Library) -> None:
        track = library.tracks.get(self.match["track"])
        if track is None:
            raise WeekbotError("This track is no longer there. `/topic list` shows those that are.")
        await interaction.response.edit_message(view=cards.topic_list(library, track, int(self.match["page"])))


ALL: list[type[discord.ui.DynamicItem[Any]]] = [More, TopicButton, Sections, TrackPage]
