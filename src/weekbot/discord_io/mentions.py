"""Allowed mentions of a message: nobody, or one role."""

from types import SimpleNamespace
from typing import Any

import discord


def role_mention(role_id: int | None) -> discord.AllowedMentions:
    roles: Any = [SimpleNamespace(id=str(role_id))] if role_id else False  # Discord documents ids as strings
    return discord.AllowedMentions(everyone=False, users=False, roles=roles, replied_user=False)


def no_mentions() -> discord.AllowedMentions:
    return discord.AllowedMentions.none()
