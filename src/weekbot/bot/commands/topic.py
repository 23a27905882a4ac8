"""`/topic`: this week's, a list, one of them, or any."""

from typing import Any

import discord
from discord import app_commands

from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.links import linked, moment
from weekbot.bot.commands.arguments import parse_track
from weekbot.bot.commands.autocomplete import topic_choices, track_choices
from weekbot.bot.commands.framework import look_up
from weekbot.bot.place import place_of
from weekbot.bot.responses import Interaction, answered, member_language, say, server_language, show
from weekbot.bot.services import Services
from weekbot.content.model import translated
from weekbot.content.tracks import EVERYTHING
from weekbot.domain.deliveries import State
from weekbot.i18n.language import N_

NOTHING_HERE = N_("This channel has no weekly topic yet. A moderator can start one with `/weekly subscribe`.")
NOTHING_YET = N_("The first topic will be posted {when}: **{topic}**.")
CURRENT = N_("This week's topic here: {topic}. The next one will be posted {when}.")


class TopicCommands(app_commands.Group):
    def __init__(self, services: Services) -> None:
        super().__init__(name="topic", description="Browse the weekly topics")
        self._services = services

    @app_commands.command(description="Show this channel's topic of the week")
    @answered
    async def current(self, interaction: Interaction) -> None:
        channel_id = await self._services.effective_channel(place_of(interaction))
        subscription = await self._services.subscriptions.of_channel(channel_id)
        if subscription is None or not subscription.active:
            await say(interaction, member_language(interaction)(NOTHING_HERE))
            return
        tr, when = server_language(interaction), moment(subscription.next_slot.instant, "R")
        last = (await self._services.deliveries.last([subscription.id], State.SENT)).get(subscription.id)
        if last is None:
            coming = translated(await self._services.coming_topic(subscription), tr.locale)
            await say(interaction, tr(NOTHING_YET, when=when, topic=coming.title), private=False)
        else:
            topic = linked(self._services.title(tr, last.topic), last)
            await say(interaction, tr(CURRENT, topic=topic, when=when), private=False)

    @app_commands.command(name="list", description="List all topics of a track")
    @app_commands.describe(track="Track to list (default: all topics)")
    @answered
    async def list_(self, interaction: Interaction, track: str = EVERYTHING) -> None:
        library = self._services.library()
        listed = library.tracks[parse_track(library, track)]
        await show(interaction, topic_cards.topic_list(member_language(interaction), library, listed, 0), private=True)

    @app_commands.command(description="Show a topic")
    @app_commands.describe(name="Title, short name or alias")
    @answered
    async def show(self, interaction: Interaction, name: str) -> None:
        await look_up(interaction, self._services, name)

    @app_commands.command(description="Show a random topic")
    @answered
    async def random(self, interaction: Interaction) -> None:
        library, tr = self._services.library(), server_language(interaction)
        await show(interaction, await self._services.lookup(tr, library, library.random(), place_of(interaction)))

    @list_.autocomplete("track")
    async def _tracks(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return track_choices(member_language(interaction), self._services.library(), typed)

    @show.autocomplete("name")
    async def _names(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return topic_choices(member_language(interaction), self._services.library(), typed)
