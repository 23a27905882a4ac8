"""Which permissions the bot needs where, and which of them it lacks."""

import discord

from weekbot.domain.subscriptions import Options
from weekbot.i18n.language import N_

Channel = discord.TextChannel | discord.ForumChannel | discord.Thread

MANAGE_THREADS = N_("Manage Threads")

INVITED_WITH = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    create_public_threads=True,
    embed_links=True,
    read_message_history=True,
    pin_messages=True,
)
"""Exactly what all options of a subscription need together."""


def needed(channel: Channel, options: Options, *, in_thread: bool = False) -> dict[str, str]:
    """The permissions that a post with these options needs, with the names Discord shows in English.

    In the channel, or `in_thread` of it: a thread has its channel's permissions.
    """
    in_thread = in_thread or isinstance(channel, discord.Thread)
    names = {"view_channel": N_("View Channel"), "read_message_history": N_("Read Message History")}
    if in_thread:
        names["send_messages_in_threads"] = N_("Send Messages in Threads")
    else:
        names["send_messages"] = (
            N_("Create Posts") if isinstance(channel, discord.ForumChannel) else N_("Send Messages")
        )
    if options.thread:
        names |= {
            "create_public_threads": N_("Create Public Threads"),
            "send_messages_in_threads": N_("Send Messages in Threads"),
        }
    if options.publish:
        names["embed_links"] = N_("Embed Links")
    if options.pin:
        names["pin_messages"] = N_("Pin Messages")
    return names


def permissions(channel: Channel) -> discord.Permissions:
    """What the bot may do there."""
    return channel.permissions_for(channel.guild.me)


def missing(have: discord.Permissions, channel: Channel, options: Options, *, in_thread: bool = False) -> list[str]:
    """The names of the needed permissions that are not among those that the bot has there."""
    names = needed(channel, options, in_thread=in_thread)
    return [name for permission, name in names.items() if not getattr(have, permission)]


def may_ping(role: discord.Role, have: discord.Permissions) -> bool:
    return role.mentionable or have.mention_everyone


def lacks_tag(forum: discord.ForumChannel) -> bool:
    """Whether every post there needs a tag, and there is none that the bot may use."""
    return forum.flags.require_tag and all(tag.moderated for tag in forum.available_tags)
