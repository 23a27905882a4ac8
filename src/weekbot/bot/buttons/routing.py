"""Routes pressed components and submitted forms to their handlers, by custom id."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import discord

from weekbot.bot.acknowledgement import acknowledge
from weekbot.bot.buttons.base import Button, Press
from weekbot.bot.responses import Interaction, explain
from weekbot.runtime.errors import WeekbotError


class OutdatedButtonError(WeekbotError):
    """This button is from an older version. Run its command again to get a new one; `/help` shows the commands."""


class OutdatedFormError(WeekbotError):
    """This form is from an older version. Open it again, then send it."""


class ButtonRouter:
    def __init__(self, buttons: Sequence[Button]) -> None:
        self._buttons = buttons

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
        button, press = self._find(cast("Mapping[str, Any]", interaction.data or {}))
        if button.changes:
            await acknowledge(interaction, redraws=button.redraws)
        await button.respond(interaction, press)

    def _find(self, data: Mapping[str, Any]) -> tuple[Button, Press]:
        """Find the handler of a pressed component. Raises OutdatedButtonError."""
        for button in self._buttons:
            if match := re.fullmatch(button.template, data["custom_id"]):
                return button, Press(match, chosen=next(iter(data.get("values") or ()), ""))
        raise OutdatedButtonError
