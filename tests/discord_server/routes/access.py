"""Access checks for the bot."""

from discord_server.call import Call
from discord_server.channel import Channel
from discord_server.error import ApiError
from discord_server.message import Message
from discord_server.permission import NONE, Permission
from discord_server.world import World


def channel_of(world: World, call: Call, needs: Permission = NONE) -> Channel:
    """Return the channel in a path, if the bot sees it and has the needed permissions."""
    return seen(world, call.id("channel_id"), needs)


def seen(world: World, channel_id: int, needs: Permission = NONE) -> Channel:
    """Return a channel, if the bot sees it and has the needed permissions."""
    channel = world.channel(channel_id)
    permissions = channel.guild.bot_permissions(channel)
    if Permission.VIEW_CHANNEL not in permissions:
        raise ApiError(50001)
    if needs not in permissions:
        raise ApiError(50013)
    return channel


def message_of(channel: Channel, call: Call) -> Message:
    """Return the message in a path."""
    message = channel.messages.get(call.id("message_id"))
    if message is None or message.ephemeral:
        raise ApiError(10008)
    return message


def own_message_of(channel: Channel, call: Call) -> Message:
    """Return the message in a path, if it is the bot's."""
    message = message_of(channel, call)
    if message.author != channel.world.bot:
        raise ApiError(50005)
    return message
