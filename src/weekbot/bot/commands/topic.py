"""`/topic`: the current topic, a list of topics, one topic, or a random one."""

from typing import Any

import discord
from discord import app_commands

from weekbot.bot.cards.formatting import linked, moment
from weekbot.bot.cards.topic_lists import topic_list
from weekbot.bot.channel_ref import channel_ref
from weekbot.bot.commands.arguments import parse_track
from weekbot.bot.commands.autocomplete import topic_choices, track_choices
from weekbot.bot.commands.framework import look_up
from weekbot.bot.responses import Interaction, explains_mistakes, member_language, say, server_language, show
from weekbot.bot.services import GetServices
from weekbot.content.model import translated
from weekbot.content.tracks import EVERYTHING
from weekbot.domain.deliveries import State
from weekbot.i18n.language import N_

NOTHING_HERE = N_("This channel has no weekly topic yet. A moderator can start one with `/weekly subscribe`.")
NOTHING_YET = N_("The first topic will be posted {when}: **{topic}**.")
CURRENT = N_("This week's topic here: {topic}. The next one will be posted {when}.")


class TopicCommands(app_commands.Group):
    def __init__(self, services: GetServices) -> None:
        super().__init__(name="topic", description="Browse the weekly topics")
        self._services = services

    @app_commands.command(description="Show this channel's topic of the week")
    @explains_mistakes
    async def current(self, interaction: Interaction) -> None:
        services = self._services()
        channel_id = await services.store.subscriptions.effective_channel(*channel_ref(interaction))
        subscription = await services.store.subscriptions.of_channel(channel_id)
        if subscription is None or not subscription.active:
            await say(interaction, member_language(interaction)(NOTHING_HERE))
            return
        tr, when = server_language(interaction), moment(subscription.next_slot.instant, "R")
        last = (await services.store.deliveries.last([subscription.id], State.SENT)).get(subscription.id)
        if last is None:
            upcoming = translated(await services.upcoming.topic(subscription), tr.locale)
            await say(interaction, tr(NOTHING_YET, when=when, topic=upcoming.title), private=False)
        else:
            topic = linked(services.lookup.title(tr, last.topic), last)
            await say(interaction, tr(CURRENT, topic=topic, when=when), private=False)

    @app_commands.command(name="list", description="List all topics of a track")
    @app_commands.describe(track="Track to list (default: all topics)")
    @explains_mistakes
    async def list_(self, interaction: Interaction, track: str = EVERYTHING) -> None:
        library = self._services().lookup.library()
        chosen = library.tracks[parse_track(library, track)]
        await show(interaction, topic_list(member_language(interaction), library, chosen, 0), private=True)

    @app_commands.command(description="Show a topic")
    @app_commands.describe(name="Title, short name or alias")
    @explains_mistakes
    async def show(self, interaction: Interaction, name: str) -> None:
        await look_up(interaction, self._services().lookup, name)

    @app_commands.command(description="Show a random topic")
    @explains_mistakes
    async def random(self, interaction: Interaction) -> None:
        lookup, tr = self._services().lookup, server_language(interaction)
        await show(interaction, await lookup.card(tr, lookup.library().random(), channel_ref(interaction)))

    @list_.autocomplete("track")
    async def _tracks(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return track_choices(member_language(interaction), self._services().lookup.library(), typed)

    @show.autocomplete("name")
    async def _names(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return topic_choices(member_language(interaction), self._services().lookup.library(), typed)
