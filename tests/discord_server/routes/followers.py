"""Followers of announcement channels."""

from collections.abc import Iterator

from discord_server.call import NO_CONTENT, Call, Reply, Routes
from discord_server.channel import Channel, ChannelKind
from discord_server.error import ApiError
from discord_server.follower import Follower
from discord_server.message import FOLLOW_NOTICE
from discord_server.permission import Permission
from discord_server.user import User
from discord_server.world import World

from .access import channel_of, seen

routes = Routes()


@routes.on("GET", "/channels/{channel_id}/webhooks")
def list_webhooks(world: World, call: Call) -> Reply:
    """Return the webhooks of a channel; here, only those by which it follows others."""
    channel = channel_of(world, call, Permission.MANAGE_WEBHOOKS)
    followers = ((source, each) for source in _channels(world) for each in source.followers)
    return Reply([each.webhook_payload(source) for source, each in followers if each.channel is channel])


@routes.on("POST", "/channels/{channel_id}/followers")
def follow_channel(world: World, call: Call) -> Reply:
    """Let a channel follow an announcement channel."""
    source = channel_of(world, call)
    target = seen(world, int(call.body["webhook_channel_id"]), Permission.MANAGE_WEBHOOKS)
    if source.kind is not ChannelKind.ANNOUNCEMENT or target.kind is not ChannelKind.TEXT:
        raise ApiError(50024)
    follower = Follower(target, User(world.snowflakes.next(), f"{source.guild.name} #{source.name}", bot=True))
    source.followers.append(follower)
    notice = target.add_notice(FOLLOW_NOTICE, world.bot, source.pointer())
    notice.content = source.name
    return Reply(follower.payload(source))


@routes.on("DELETE", "/webhooks/{webhook_id}")
def delete_webhook(world: World, call: Call) -> Reply:
    """Let a channel stop following; earlier copies are kept."""
    for source in _channels(world):
        for follower in [each for each in source.followers if each.webhook.id == call.id("webhook_id")]:
            seen(world, follower.channel.id, Permission.MANAGE_WEBHOOKS)
            source.followers.remove(follower)
            return NO_CONTENT
    raise ApiError(10015)


def _channels(world: World) -> Iterator[Channel]:
    return (channel for guild in world.guilds.values() for channel in guild.channels.values())
