"""Messages in channels."""

from itertools import islice

from discord_server.call import NO_CONTENT, Call, Reply, Routes
from discord_server.channel import Channel, ChannelKind
from discord_server.error import ApiError
from discord_server.message import Flag, Message
from discord_server.payload import Payload
from discord_server.permission import Permission
from discord_server.thread import Thread
from discord_server.world import World

from .access import channel_of, message_of, own_message_of

routes = Routes()


@routes.on("POST", "/channels/{channel_id}/messages")
def create_message(world: World, call: Call) -> Reply:
    """Send a message."""
    channel = channel_of(world, call)
    in_thread = isinstance(channel, Thread)
    channel_of(world, call, Permission.SEND_MESSAGES_IN_THREADS if in_thread else Permission.SEND_MESSAGES)
    if channel.kind is ChannelKind.FORUM:
        raise ApiError(50008)
    if call.body.get("poll"):
        channel_of(world, call, Permission.SEND_POLLS)
    if isinstance(channel, Thread):
        _open(channel)
    body = _permitted(channel, call.body) | {"flags": int(call.body.get("flags") or 0) & ~Flag.EPHEMERAL}
    return Reply(channel.post(world.bot, body, call.uploads).created_payload())


def _permitted(channel: Channel, body: Payload) -> Payload:
    # Like Discord, silently omit embeds that may not be sent, unless there is no other content.
    if not body.get("embeds") or Permission.EMBED_LINKS in channel.guild.bot_permissions(channel):
        return body
    if not (body.get("content") or body.get("components")):
        raise ApiError(50013)
    return {key: value for key, value in body.items() if key != "embeds"}


def _open(thread: Thread) -> None:
    if thread.locked and Permission.MANAGE_THREADS not in thread.guild.bot_permissions(thread):
        raise ApiError(50083 if thread.archived else 160005)
    if thread.archived:
        thread.edit({"archived": False})


@routes.on("GET", "/channels/{channel_id}/messages")
def list_messages(world: World, call: Call) -> Reply:
    """Return a page of the history, the newest message first."""
    channel = channel_of(world, call)
    if Permission.READ_MESSAGE_HISTORY not in channel.guild.bot_permissions(channel):
        return Reply([])
    return Reply([message.seen_payload() for message in reversed(_page(channel, call))])


def _page(channel: Channel, call: Call) -> list[Message]:
    limit, messages = call.limit(50), channel.messages
    if after := call.query.get("after"):
        return list(islice(messages.after(int(after)), limit))
    if around := call.query.get("around"):
        older = list(islice(messages.before(int(around)), limit // 2))
        return [*reversed(older), *islice(messages.since(int(around)), limit - len(older))]
    before = int(call.query.get("before", 1 << 63))
    return list(islice(messages.before(before), limit))[::-1]


@routes.on("GET", "/channels/{channel_id}/messages/{message_id}")
def read_message(world: World, call: Call) -> Reply:
    """Return one message."""
    channel = channel_of(world, call, Permission.READ_MESSAGE_HISTORY)
    return Reply(message_of(channel, call).seen_payload())


@routes.on("PATCH", "/channels/{channel_id}/messages/{message_id}")
def edit_message(world: World, call: Call) -> Reply:
    """Edit one of the bot's messages."""
    channel = channel_of(world, call)
    if isinstance(channel, Thread) and channel.archived:
        raise ApiError(50083)
    message = own_message_of(channel, call)
    message.edit(_permitted(channel, call.body), call.uploads)
    return Reply(message.payload())


@routes.on("DELETE", "/channels/{channel_id}/messages/{message_id}")
def delete_message(world: World, call: Call) -> Reply:
    """Delete a message."""
    channel = channel_of(world, call)
    message = message_of(channel, call)
    if message.author != world.bot:
        channel_of(world, call, Permission.MANAGE_MESSAGES)
    message.delete()
    return NO_CONTENT


@routes.on("POST", "/channels/{channel_id}/messages/{message_id}/crosspost")
def crosspost_message(world: World, call: Call) -> Reply:
    """Publish a message of an announcement channel."""
    channel = channel_of(world, call, Permission.SEND_MESSAGES)
    message = message_of(channel, call)
    if channel.kind is not ChannelKind.ANNOUNCEMENT:
        raise ApiError(50024)
    if Flag.CROSSPOSTED in message.flags:
        raise ApiError(40033)
    message.flags |= Flag.CROSSPOSTED
    for follower in channel.followers:
        follower.repeat(message)
    return Reply(message.payload())


@routes.on("POST", "/channels/{channel_id}/polls/{message_id}/expire")
def end_poll(world: World, call: Call) -> Reply:
    """End one of the bot's polls."""
    message = own_message_of(channel_of(world, call), call)
    message.end_poll()
    return Reply(message.payload())
