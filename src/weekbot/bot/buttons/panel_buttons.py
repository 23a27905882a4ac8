"""Buttons of the status panel: turning its pages, and looking after one channel. For moderators, checked each time."""

import logging
import re

import discord

from weekbot.bot.buttons.topic_buttons import Pressed
from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.status_panel import gone_card, manage_card, status_card
from weekbot.bot.cards.topic_cards import Card
from weekbot.bot.moderation import Moderation, subscribed
from weekbot.bot.place import place_of
from weekbot.bot.responses import (
    Interaction,
    is_lost,
    member_language,
    redraw,
    require_moderator,
    say,
    server_of,
    show_message,
)
from weekbot.bot.services import Services
from weekbot.bot.weekly_overview import channel_health, guild_health
from weekbot.content.library import Library
from weekbot.domain.subscription_rules import NotSubscribedError
from weekbot.i18n.language import Language

log = logging.getLogger(__name__)

ACTIONS = {
    "pause": Moderation.pause,
    "resume": Moderation.resume,
    "unsubscribe": Moderation.unsubscribe,
}
ACTIONS_ON_NEXT = {"post": Moderation.post, "skip": Moderation.skip}


class ModeratorPressed(Pressed):
    async def answer(self, interaction: Interaction, _: Library) -> None:
        require_moderator(interaction)
        guild, services = server_of(interaction), interaction.client.services
        await self.act(interaction, member_language(interaction), services, guild)

    async def act(self, interaction: Interaction, tr: Language, services: Services, guild: discord.Guild) -> None:
        raise NotImplementedError

    async def channel_id(self, services: Services, guild: discord.Guild) -> int:
        """The channel that the custom id names, which must be of this server and have, or have had, a weekly topic."""
        found = await services.subscriptions.of_channel(int(self.match["channel"]))
        if found is None or found.guild_id != guild.id:
            raise NotSubscribedError
        return found.channel_id


class StatusPage(ModeratorPressed, template=custom_ids.STATUS):
    async def act(self, interaction: Interaction, tr: Language, services: Services, guild: discord.Guild) -> None:
        here = await services.effective_channel(place_of(interaction))
        overview = await guild_health(tr, services, guild, here, int(self.match["first"]))
        await redraw(interaction, status_card(tr, overview, await services.guilds.settings(guild.id)))


class Manage(ModeratorPressed, template=custom_ids.MANAGE):
    async def act(self, interaction: Interaction, tr: Language, services: Services, guild: discord.Guild) -> None:
        subscription = await subscribed(services, await self.channel_id(services, guild))
        await redraw(interaction, manage_card(tr, await channel_health(tr, services, subscription)))


class Do(ModeratorPressed, template=custom_ids.DO):
    """One of the actions on a channel; the panel then says what became of it."""

    redraws = True

    def __init__(self, match: re.Match[str], chosen: str = "") -> None:
        super().__init__(match, chosen)
        self.changes = match["action"] != "preview"

    async def act(self, interaction: Interaction, tr: Language, services: Services, guild: discord.Guild) -> None:
        channel_id = await self.channel_id(services, guild)
        moderation = Moderation(tr, services, interaction.id)
        if self.match["action"] == "preview":
            await show_message(interaction, await moderation.preview(channel_id), private=True)
            return
        note = await self._done(moderation, channel_id)
        try:
            await redraw(interaction, await _panel(tr, services, channel_id, note))
        except Exception as error:  # the change was made; an error message would invite the member to repeat it
            if not is_lost(error):
                log.exception("the panel could not be drawn")
                await say(interaction, note)

    async def _done(self, moderation: Moderation, channel_id: int) -> str:
        action = self.match["action"]
        if action in ACTIONS_ON_NEXT:
            return (await ACTIONS_ON_NEXT[action](moderation, channel_id, self.match["topic"])).text
        return await ACTIONS[action](moderation, channel_id)


async def _panel(tr: Language, services: Services, channel_id: int, note: str) -> Card:
    """The channel's page, with a note on what was done."""
    try:
        current = await subscribed(services, channel_id)
    except NotSubscribedError:
        return gone_card(tr, note)
    return manage_card(tr, await channel_health(tr, services, current), note)


ALL = [StatusPage, Manage, Do]
