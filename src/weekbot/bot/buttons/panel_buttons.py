"""Buttons of the status panel, for moderators. Each press checks the member's permission."""

import logging

from weekbot.bot.buttons.base import Button, Press
from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.card import Card
from weekbot.bot.cards.status_panel import gone_card, manage_card, status_card
from weekbot.bot.channel_ref import channel_ref
from weekbot.bot.moderation import Moderation
from weekbot.bot.responses import (
    Interaction,
    guild_of,
    is_undeliverable,
    member_language,
    redraw,
    require_moderator,
    say,
    show_message,
)
from weekbot.bot.weekly_overview import WeeklyOverview
from weekbot.domain.subscription_rules import NotSubscribedError

log = logging.getLogger(__name__)

ACTIONS = {"pause": Moderation.pause, "resume": Moderation.resume, "unsubscribe": Moderation.unsubscribe}
ACTIONS_ON_NEXT = {"post": Moderation.post, "skip": Moderation.skip}


class _PanelHandler(Button):
    def __init__(self, moderation: Moderation, overview: WeeklyOverview) -> None:
        self._moderation = moderation
        self._overview = overview

    async def respond(self, interaction: Interaction, press: Press) -> None:
        require_moderator(interaction)
        guild_of(interaction)
        await self._respond(interaction, press)

    async def _respond(self, interaction: Interaction, press: Press) -> None:
        raise NotImplementedError

    async def _channel_id(self, interaction: Interaction, press: Press) -> int:
        """Return the channel in the custom id. Raises NotSubscribedError if this server never subscribed it."""
        found = await self._moderation.subscriptions.of_channel(int(press["channel"]))
        if found is None or found.guild_id != interaction.guild_id:
            raise NotSubscribedError
        return found.channel_id

    async def _panel(self, interaction: Interaction, channel_id: int, result: str | None = None) -> Card:
        tr, subscription = member_language(interaction), await self._moderation.subscription(channel_id)
        return manage_card(tr, await self._overview.of_channel(tr, subscription), result)


class StatusButton(_PanelHandler):
    template = custom_ids.STATUS

    async def _respond(self, interaction: Interaction, press: Press) -> None:
        guild, tr = guild_of(interaction), member_language(interaction)
        here = await self._moderation.subscriptions.effective_channel(*channel_ref(interaction))
        overview = await self._overview.of_guild(tr, guild, here, int(press["first"]))
        await redraw(interaction, status_card(tr, overview, await self._moderation.guilds.settings(guild.id)))


class ManageButton(_PanelHandler):
    template = custom_ids.MANAGE

    async def _respond(self, interaction: Interaction, press: Press) -> None:
        await redraw(interaction, await self._panel(interaction, await self._channel_id(interaction, press)))


class PreviewButton(_PanelHandler):
    template = custom_ids.PREVIEW

    async def _respond(self, interaction: Interaction, press: Press) -> None:
        preview = await self._moderation.preview(await self._channel_id(interaction, press))
        await show_message(interaction, preview, private=True)


class ActionButton(_PanelHandler):
    """Performs one of the actions on a channel, then shows the result in the panel."""

    template = custom_ids.ACTION
    changes = redraws = True

    async def _respond(self, interaction: Interaction, press: Press) -> None:
        channel_id = await self._channel_id(interaction, press)
        result = await self._act(interaction, press, channel_id)
        try:
            await redraw(interaction, await self._panel_after(interaction, channel_id, result))
        except Exception as error:  # the change was made; an error message would invite the member to repeat it
            if not is_undeliverable(error):
                log.exception("the panel could not be drawn")
                await say(interaction, result)

    async def _act(self, interaction: Interaction, press: Press, channel_id: int) -> str:
        tr, action = member_language(interaction), press["action"]
        if action in ACTIONS:
            return (await ACTIONS[action](self._moderation, tr, channel_id)).text
        topic_action = ACTIONS_ON_NEXT[action]
        return (await topic_action(self._moderation, tr, channel_id, interaction.id, press["topic"])).text

    async def _panel_after(self, interaction: Interaction, channel_id: int, result: str) -> Card:
        try:
            return await self._panel(interaction, channel_id, result)
        except NotSubscribedError:
            return gone_card(member_language(interaction), result)


def panel_buttons(moderation: Moderation, overview: WeeklyOverview) -> list[Button]:
    return [kind(moderation, overview) for kind in (StatusButton, ManageButton, PreviewButton, ActionButton)]
