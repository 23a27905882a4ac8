"""Buttons of the status panel: turning its pages, and looking after one channel. For moderators, checked each time."""

import discord
from discord import app_commands

from weekbot.bot import custom_ids
from weekbot.bot.answers import Interaction, ask_to_wait, member_language, redraw, require_moderator, show_message
from weekbot.bot.buttons import Pressed
from weekbot.bot.health import channel_health, guild_health
from weekbot.bot.moderation import Moderation, subscribed
from weekbot.bot.services import Services
from weekbot.bot.status import gone_card, manage_card, status_card
from weekbot.content.library import Library
from weekbot.edits import NotSubscribedError
from weekbot.language import Language
from weekbot.store.subscriptions import Subscription

ACTIONS = {
    "pause": Moderation.pause,
    "resume": Moderation.resume,
    "unsubscribe": Moderation.unsubscribe,
}
ACTIONS_ON_NEXT = {"post": Moderation.post, "skip": Moderation.skip}


class ModeratorPressed(Pressed, template=r"weekbot:never-either"):
    async def answer(self, interaction: Interaction, _: Library) -> None:
        require_moderator(interaction)
        if interaction.guild is None:
            raise app_commands.NoPrivateMessage
        services: Services = interaction.client.services
        await self.act(interaction, member_language(interaction), services, interaction.guild)

    async def act(self, interaction: Interaction, tr: Language, services: Services, guild: discord.Guild) -> None:
        raise NotImplementedError

    async def subscription(self, services: Services, guild: discord.Guild) -> Subscription:
        """The one whose channel the custom id names, which must be of this server."""
        found = await subscribed(services, int(self.match["channel"]))
        if found.guild_id != guild.id:
            raise NotSubscribedError
        return found


class StatusPage(ModeratorPressed, template=custom_ids.STATUS):
    async def act(self, interaction: Interaction, tr: Language, services: Services, guild: discord.Guild) -> None:
        overview = await guild_health(tr, services, guild, interaction.channel_id, int(self.match["first"]))
        await redraw(interaction, status_card(tr, overview, await services.guilds.settings(guild.id)))


class Manage(ModeratorPressed, template=custom_ids.MANAGE):
    async def act(self, interaction: Interaction, tr: Language, services: Services, guild: discord.Guild) -> None:
        state = await channel_health(tr, services, await self.subscription(services, guild))
        await redraw(interaction, manage_card(tr, state))


class Do(ModeratorPressed, template=custom_ids.DO):
    """One of the actions on a channel; the panel then says what became of it."""

    async def act(self, interaction: Interaction, tr: Language, services: Services, guild: discord.Guild) -> None:
        subscription, moderation = await self.subscription(services, guild), Moderation(tr, services, interaction.id)
        if self.match["action"] == "preview":
            await show_message(interaction, await moderation.preview(subscription.channel_id), private=True)
            return
        await ask_to_wait(interaction)
        note = await self._done(moderation, subscription.channel_id)
        try:
            current = await subscribed(services, subscription.channel_id)
        except NotSubscribedError:
            await redraw(interaction, gone_card(tr, note))
        else:
            await redraw(interaction, manage_card(tr, await channel_health(tr, services, current), note))

    async def _done(self, moderation: Moderation, channel_id: int) -> str:
        action = self.match["action"]
        if action in ACTIONS_ON_NEXT:
            return await ACTIONS_ON_NEXT[action](moderation, channel_id, self.match["topic"])
        return await ACTIONS[action](moderation, channel_id)


ALL = [StatusPage, Manage, Do]
