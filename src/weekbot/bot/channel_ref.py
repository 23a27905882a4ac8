"""The channel that a command or button refers to; a thread under a post counts as the post's channel."""

from typing import NamedTuple

import discord

from weekbot.bot.responses import Interaction, guild_of
from weekbot.discord_io.permissions import Channel
from weekbot.store.subscriptions import Subscriptions


class ChannelRef(NamedTuple):
    """A channel, or a thread in the channel `parent_id`."""

    channel_id: int
    parent_id: int | None = None


def channel_ref(interaction: Interaction, channel: Channel | None = None) -> ChannelRef:
    """Refer to the channel option; by default, to the channel in which the command or button was used."""
    chosen = channel or interaction.channel
    id_ = channel.id if channel else interaction.channel_id or 0
    return ChannelRef(id_, chosen.parent_id if isinstance(chosen, discord.Thread) else None)


async def current_channel(interaction: Interaction, subscriptions: Subscriptions) -> object:
    """Return the channel in which a command was used; in a thread under a post, the post's channel."""
    here, id_ = interaction.channel, await subscriptions.effective_channel(*channel_ref(interaction))
    return here if here is None or here.id == id_ else guild_of(interaction).get_channel(id_) or here
