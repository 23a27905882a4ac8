"""Slash commands: each file has one group, and leaves the work to its collaborators."""

from typing import Any, NoReturn

from discord import app_commands

from weekbot.bot.commands.compare import compare
from weekbot.bot.commands.framework import framework
from weekbot.bot.commands.help import help_
from weekbot.bot.commands.privacy import PrivacyCommands, progress
from weekbot.bot.commands.topic import TopicCommands
from weekbot.bot.commands.weekly import WeeklyCommands
from weekbot.bot.services import GetServices
from weekbot.bot.topic_lookup import TopicLookup

Command = app_commands.Command[Any, ..., Any] | app_commands.Group


def all_commands(services: GetServices, *, has_home_channel: bool) -> list[Command]:
    def lookup() -> TopicLookup:
        return services().lookup

    return [
        framework(lookup),
        compare(lookup),
        TopicCommands(services),
        WeeklyCommands(services, has_home_channel=has_home_channel),
        progress(services),
        PrivacyCommands(services),
        help_,
    ]


def described_commands(*, has_home_channel: bool) -> list[Command]:
    """Return the commands with their descriptions, but without what they need to be used."""
    return all_commands(_unusable, has_home_channel=has_home_channel)


def _unusable() -> NoReturn:
    raise RuntimeError("these commands are for their descriptions only")
