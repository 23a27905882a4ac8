"""The permissions that posts need."""

import discord

from weekbot.domain.subscriptions import Options
from weekbot.i18n.language import N_

Channel = discord.TextChannel | discord.ForumChannel | discord.Thread

_NAMES = {
    "view_channel": N_("View Channel"),
    "read_message_history": N_("Read Message History"),
    "send_messages": N_("Send Messages"),
    "send_messages_in_threads": N_("Send Messages in Threads"),
    "create_public_threads": N_("Create Public Threads"),
    "embed_links": N_("Embed Links"),
    "pin_messages": N_("Pin Messages"),
}
INVITE_PERMISSIONS = discord.Permissions(**dict.fromkeys(_NAMES, True))  # for all options of a subscription


def required_permissions(channel: Channel, options: Options, *, in_thread: bool = False) -> dict[str, str]:
    """Return the permissions for a post in the channel or in a thread of it, with Discord's English names."""
    in_thread = in_thread or isinstance(channel, discord.Thread)
    required = ["view_channel", "read_message_history", "send_messages_in_threads" if in_thread else "send_messages"]
    required += ["create_public_threads", "send_messages_in_threads"] if options.thread else []
    required += ["embed_links"] if options.publish else []
    required += ["pin_messages"] if options.pin else []
    names = _NAMES | ({"send_messages": N_("Create Posts")} if isinstance(channel, discord.ForumChannel) else {})
    return {permission: names[permission] for permission in required}


def missing_permissions(
    have: discord.Permissions, channel: Channel, options: Options, *, in_thread: bool = False
) -> list[str]:
    """Return the names of the required permissions that aren't in `have`."""
    required = required_permissions(channel, options, in_thread=in_thread)
    return [name for permission, name in required.items() if not getattr(have, permission)]


def permissions_in(channel: discord.abc.GuildChannel | discord.Thread) -> discord.Permissions:
    """Return the bot's permissions."""
    return channel.permissions_for(channel.guild.me)


def may_send(have: discord.Permissions, *, in_thread: bool) -> bool:
    return have.send_messages_in_threads if in_thread else have.send_messages


def may_open(have: discord.Permissions, *, locked: bool) -> bool:
    """Return whether the bot may open the thread once it is archived."""
    return have.manage_threads or not locked


def may_write(channel: discord.TextChannel | discord.Thread) -> bool:
    """Return whether the bot may post in the channel, also once it is archived."""
    have, in_thread = permissions_in(channel), isinstance(channel, discord.Thread)
    locked = isinstance(channel, discord.Thread) and channel.locked
    return have.view_channel and may_send(have, in_thread=in_thread) and may_open(have, locked=locked)
