"""Routes pressed components and submitted forms to their handlers, by custom id."""

import re
from collections.abc import Mapping
from typing import Any, cast

import discord

from weekbot.bot.acknowledgement import acknowledge
from weekbot.bot.buttons import member_buttons, panel_buttons, topic_buttons
from weekbot.bot.buttons.topic_buttons import Pressed
from weekbot.bot.responses import Interaction
from weekbot.runtime.errors import WeekbotError

KINDS: list[type[Pressed]] = [*topic_buttons.ALL, *member_buttons.ALL, *panel_buttons.ALL]
NEEDS_ANSWER = (discord.InteractionType.component, discord.InteractionType.modal_submit)


class OutdatedButtonError(WeekbotError):
    """This button is from an older version. Run its command again to get a new one; `/help` shows the commands."""


class OutdatedFormError(WeekbotError):
    """This form is from an older version. Open it again, then send it."""


async def answer_press(interaction: Interaction) -> None:
    """Raises OutdatedButtonError or OutdatedFormError for a custom id that this version doesn't use."""
    if interaction.type is discord.InteractionType.modal_submit:
        raise OutdatedFormError
    press = pressed(cast("Mapping[str, Any]", interaction.data or {}))
    if press.changes:
        await acknowledge(interaction, redraws=press.redraws)
    await press.answer(interaction, interaction.client.services.library())


def pressed(data: Mapping[str, Any]) -> Pressed:
    """Find the handler of a pressed component. Raises OutdatedButtonError."""
    for kind in KINDS:
        if match := re.fullmatch(kind.template, data["custom_id"]):
            return kind(match, chosen=next(iter(data.get("values") or ()), ""))
    raise OutdatedButtonError
