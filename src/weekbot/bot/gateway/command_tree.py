"""The slash commands of a client, with errors explained to the member."""

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import discord
from discord import app_commands
from discord.app_commands import Namespace

from weekbot.bot.commands import Command
from weekbot.bot.gateway.client import Weekbot
from weekbot.bot.metrics_port import UsageMetrics
from weekbot.bot.responses import Interaction, explain, focused

if TYPE_CHECKING:
    from discord.types.interactions import ApplicationCommandInteractionData

SLASH = discord.AppCommandType.chat_input.value


class CommandTree(app_commands.CommandTree[Weekbot]):
    def __init__(self, client: Weekbot, commands: Iterable[Command], metrics: UsageMetrics) -> None:
        super().__init__(client)
        self._metrics = metrics
        for command in commands:
            self.add_command(command)

    async def interaction_check(self, interaction: Interaction) -> bool:
        received_at = time.monotonic()
        should_respond = await self.client.should_respond(interaction)
        if should_respond and interaction.type is discord.InteractionType.autocomplete:
            self._measure_autocompletion(received_at)
        return should_respond

    def _measure_autocompletion(self, received_at: float) -> None:
        """Report the duration when discord.py's task for this interaction ends."""
        if responding := asyncio.current_task():
            responding.add_done_callback(lambda _: self._metrics.autocompleted(time.monotonic() - received_at))

    async def _call(self, interaction: Interaction) -> None:
        """Explain every error to the member, including those raised before discord.py has parsed the options."""
        try:
            if interaction.type is discord.InteractionType.autocomplete:
                await self._suggest(interaction)
            else:
                _require_slash_command(interaction)
                await super()._call(interaction)
        except Exception as error:
            await explain(interaction, error)

    async def _suggest(self, interaction: Interaction) -> None:
        """Run the autocompletion as discord.py does, but raise its errors, which discord.py would only log."""
        if not await self.interaction_check(interaction):
            return
        data = cast("ApplicationCommandInteractionData", interaction.data)
        command, options = self._get_app_command_options(data)
        typed = focused(cast("list[dict[str, Any]]", options))
        if typed is None:
            raise app_commands.CommandSignatureMismatch(command)
        await command._invoke_autocomplete(interaction, typed["name"], Namespace(interaction, {}, options))  # noqa: SLF001

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError) -> None:
        await explain(interaction, error)


def _require_slash_command(interaction: Interaction) -> None:
    """Raises CommandNotFound for other kinds of commands: weekbot has none, and discord.py doesn't know them all."""
    data = cast("ApplicationCommandInteractionData", interaction.data)
    if data.get("type", SLASH) != SLASH:
        raise app_commands.CommandNotFound(data["name"], [])
