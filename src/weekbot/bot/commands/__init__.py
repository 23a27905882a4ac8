"""Slash commands: thin; each file holds one group."""

from typing import Any

from discord import app_commands

from weekbot.bot.commands.compare import compare
from weekbot.bot.commands.framework import framework
from weekbot.bot.commands.help import help_
from weekbot.bot.commands.privacy import PrivacyCommands, progress
from weekbot.bot.commands.topic import TopicCommands
from weekbot.bot.commands.weekly import WeeklyCommands
from weekbot.bot.services import Services


def all_commands(services: Services) -> list[app_commands.Command[Any, ..., Any] | app_commands.Group]:
    return [
        framework(services),
        compare(services),
        TopicCommands(services),
        WeeklyCommands(services),
        progress(services),
        PrivacyCommands(services),
        help_,
    ]
