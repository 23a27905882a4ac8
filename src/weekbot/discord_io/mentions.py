"""Whom a message may ping: nobody, or one role."""

from typing import Any

import discord


class Mentions(discord.AllowedMentions):
    """The ids of roles go out as strings, as Discord's documents have them; discord.py would send numbers."""

    def to_dict(self) -> Any:
        payload: dict[str, Any] = dict(super().to_dict())
        if "roles" in payload:
            payload["roles"] = [str(role_id) for role_id in payload["roles"]]
        return payload

    def merge(self, other: discord.AllowedMentions) -> "Mentions":
        merged = super().merge(other)
        return Mentions(
            everyone=merged.everyone, users=merged.users, roles=merged.roles, replied_user=merged.replied_user
        )


def role_mention(role_id: int | None) -> Mentions:
    roles = [discord.Object(role_id)] if role_id else False
    return Mentions(everyone=False, users=False, roles=roles, replied_user=False)


def no_mentions() -> Mentions:
    return Mentions.none()
