"""Channels."""

from discord_server.call import NO_CONTENT, Call, Reply, Routes
from discord_server.permission import Permission
from discord_server.thread import Thread
from discord_server.world import World

from .access import channel_of

routes = Routes()


@routes.on("GET", "/channels/{channel_id}")
def read_channel(world: World, call: Call) -> Reply:
    """Return a channel or a thread."""
    return Reply(channel_of(world, call).payload())


@routes.on("PATCH", "/channels/{channel_id}")
def edit_channel(world: World, call: Call) -> Reply:
    """Change a channel or a thread."""
    channel = channel_of(world, call)
    own = isinstance(channel, Thread) and channel.owner == world.bot
    needs = Permission.MANAGE_THREADS if isinstance(channel, Thread) else Permission.MANAGE_CHANNELS
    channel_of(world, call, Permission(0) if own else needs)
    channel.edit(call.body)
    return Reply(channel.payload())


@routes.on("DELETE", "/channels/{channel_id}")
def delete_channel(world: World, call: Call) -> Reply:
    """Delete a channel or a thread."""
    is_thread = isinstance(channel_of(world, call), Thread)
    channel = channel_of(world, call, Permission.MANAGE_THREADS if is_thread else Permission.MANAGE_CHANNELS)
    channel.delete()
    return Reply(channel.payload())


@routes.on("POST", "/channels/{channel_id}/typing")
def show_typing(world: World, call: Call) -> Reply:
    """Show that the bot is typing."""
    channel_of(world, call, Permission.SEND_MESSAGES)
    return NO_CONTENT
