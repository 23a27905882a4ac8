"""`/progress` and `/privacy`: a member's progress, and everything stored about the member."""

import json
from dataclasses import asdict
from io import BytesIO
from typing import Any

import discord
from discord import app_commands

from weekbot.bot.cards import member_cards
from weekbot.bot.responses import Interaction, explains_mistakes, member_language, say, show
from weekbot.bot.services import GetServices
from weekbot.i18n.language import N_

EXPORTED = N_("Here is all data stored about you.")
NOTHING_KEPT = N_("No data is stored about you.")


def progress(services: GetServices) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(description="Show what you finished and what's next")
    @explains_mistakes
    async def progress(interaction: Interaction) -> None:
        record, total = await services().progress.record(interaction), len(services().lookup.library().topics)
        card = member_cards.progress(member_language(interaction), record, total)
        await show(interaction, card, private=True)

    return progress


class PrivacyCommands(app_commands.Group):
    def __init__(self, services: GetServices) -> None:
        super().__init__(name="privacy", description="Export or delete the data stored about you")
        self._services = services

    @app_commands.command(description="Export all data stored about you as a file")
    @explains_mistakes
    async def export(self, interaction: Interaction) -> None:
        kept, tr = await self._services().store.members.of(interaction.user.id), member_language(interaction)
        if not kept:
            await say(interaction, tr(NOTHING_KEPT))
            return
        rows = [{name: value for name, value in asdict(each).items() if name != "member_id"} for each in kept]
        text = json.dumps({"member_id": str(interaction.user.id), "topics": rows}, indent=2, default=str)
        file = discord.File(BytesIO(text.encode()), "weekbot.json")
        await interaction.response.send_message(tr(EXPORTED), file=file, ephemeral=True)

    @app_commands.command(description="Delete all data stored about you")
    @explains_mistakes
    async def delete(self, interaction: Interaction) -> None:
        kept, tr = await self._services().store.members.of(interaction.user.id), member_language(interaction)
        if kept:
            await show(interaction, member_cards.forget(tr, len(kept)), private=True)
        else:
            await say(interaction, tr(NOTHING_KEPT))
