"""Where a member uses a command; the thread of a post counts as the post's channel."""

from dataclasses import dataclass

import discord

from weekbot.bot.responses import Interaction
from weekbot.discord_io.permissions import Channel


@dataclass(frozen=True)
class Place:
    """A channel, or a thread in the channel `parent_id`."""

    channel_id: int
    parent_id: int | None = None


def place_of(interaction: Interaction, channel: Channel | None = None) -> Place:
    """The channel, or else the one that the command or button was used in."""
    chosen = channel or interaction.channel
    id_ = channel.id if channel else interaction.channel_id or 0
    return Place(id_, chosen.parent_id if isinstance(chosen, discord.Thread) else None)
