"""Routes pressed components and submitted forms to their handlers, by custom id."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import discord

from weekbot.bot.acknowledgement import acknowledge
from weekbot.bot.buttons import member_buttons, panel_buttons, topic_buttons
from weekbot.bot.buttons.base import Button, Press
from weekbot.bot.responses import Interaction, explain, guild_of, require_moderator
from weekbot.bot.services import Services
from weekbot.runtime.errors import WeekbotError

BUTTONS = (*topic_buttons.BUTTONS, *member_buttons.BUTTONS, *panel_buttons.BUTTONS)


class OutdatedButtonError(WeekbotError):
    """This button is from an older version. Run its command again to get a new one; `/help` shows the commands."""


class OutdatedFormError(WeekbotError):
    """This form is from an older version. Open it again, then send it."""


@dataclass(frozen=True)
class ButtonRouter:
    services: Services

    async def on_interaction(self, interaction: Interaction) -> None:
        """Respond to presses and forms; the command tree responds to commands."""
        if interaction.type not in (discord.InteractionType.component, discord.InteractionType.modal_submit):
            return
        try:
            if await interaction.client.should_respond(interaction):
                await self._respond(interaction)
        except Exception as error:
            await explain(interaction, error)

    async def _respond(self, interaction: Interaction) -> None:
        if interaction.type is discord.InteractionType.modal_submit:
            raise OutdatedFormError
        button, press = _find(cast("Mapping[str, Any]", interaction.data or {}))
        if button.changes:
            await acknowledge(interaction, redraws=button.redraws)
        if button.for_moderators:
            require_moderator(interaction)
            guild_of(interaction)
        await button.respond(self.services, interaction, press)


def _find(data: Mapping[str, Any]) -> tuple[Button, Press]:
    """Find the button that was pressed. Raises OutdatedButtonError."""
    for button in BUTTONS:
        if match := re.fullmatch(button.template, data["custom_id"]):
            return button, Press(match, chosen=next(iter(data.get("values") or ()), ""))
    raise OutdatedButtonError
