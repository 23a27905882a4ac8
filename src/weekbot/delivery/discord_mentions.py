"""Whom a message may ping: nobody, or one role."""

from typing import Any

import discord


class RoleMention(discord.AllowedMentions):
    """One role. Its id goes out as a string, as Discord's documents have it; discord.py would send a number."""

    def __init__(self, role_id: int) -> None:
        super().__init__(everyone=False, users=False, roles=[discord.Object(role_id)], replied_user=False)
        self._role_id = role_id

    def to_dict(self) -> Any:
        return {"parse": [], "roles": [str(self._role_id)]}

    def merge(self, _: discord.AllowedMentions) -> discord.AllowedMentions:
        return self


def role_mention(role_id: int | None) -> discord.AllowedMentions:
    return RoleMention(role_id) if role_id else no_mentions()


def no_mentions() -> discord.AllowedMentions:
    return discord.AllowedMentions.none()
