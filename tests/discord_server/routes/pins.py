"""Pinned messages, with the current and the deprecated routes."""

from datetime import datetime

from discord_server.call import NO_CONTENT, Call, Reply, Routes
from discord_server.channel import Channel
from discord_server.error import ApiError
from discord_server.message import PIN_NOTICE, Message
from discord_server.payload import Payload
from discord_server.permission import Permission
from discord_server.world import World

from .access import channel_of, message_of

MAX_PINS = 250
PIN_PATHS = ("/channels/{channel_id}/messages/pins/{message_id}", "/channels/{channel_id}/pins/{message_id}")

routes = Routes()


@routes.on("PUT", *PIN_PATHS)
def pin_message(world: World, call: Call) -> Reply:
    """Pin a message."""
    channel = channel_of(world, call, Permission.PIN_MESSAGES)
    message = message_of(channel, call)
    if len(channel.pins) >= MAX_PINS:
        raise ApiError(30003)
    if message.pinned_at is None:
        message.pinned_at = world.clock()
        channel.add_notice(PIN_NOTICE, world.bot, message.pointer())
    _announce(channel)
    return NO_CONTENT


@routes.on("DELETE", *PIN_PATHS)
def unpin_message(world: World, call: Call) -> Reply:
    """Unpin a message."""
    channel = channel_of(world, call, Permission.PIN_MESSAGES)
    message_of(channel, call).pinned_at = None
    _announce(channel)
    return NO_CONTENT


def _announce(channel: Channel) -> None:
    guild_id = str(channel.guild.id)
    last = _pinned_at(channel.pins[0]) if channel.pins else None
    data = {"guild_id": guild_id, "channel_id": str(channel.id), "last_pin_timestamp": last}
    channel.guild.emit("CHANNEL_PINS_UPDATE", data)


@routes.on("GET", "/channels/{channel_id}/messages/pins")
def list_pins(world: World, call: Call) -> Reply:
    """Return a page of pins, the last pinned first."""
    pins, limit = _readable_pins(world, call), call.limit(50, 50)
    if before := call.query.get("before"):
        pins = [each for each in pins if each.pinned_at and each.pinned_at < datetime.fromisoformat(before)]
    return Reply({"items": [_item(message) for message in pins[:limit]], "has_more": len(pins) > limit})


@routes.on("GET", "/channels/{channel_id}/pins")
def list_pins_deprecated(world: World, call: Call) -> Reply:
    """Return the pinned messages."""
    return Reply([message.seen_payload() for message in _readable_pins(world, call)])


def _readable_pins(world: World, call: Call) -> list[Message]:
    channel = channel_of(world, call)
    readable = Permission.READ_MESSAGE_HISTORY in channel.guild.bot_permissions(channel)
    return channel.pins if readable else []


def _item(message: Message) -> Payload:
    return {"pinned_at": _pinned_at(message), "message": message.seen_payload()}


def _pinned_at(message: Message) -> str | None:
    return message.pinned_at.isoformat() if message.pinned_at else None
