"""Following announcement channels."""

from discord_server.call import Call, Reply, Routes
from discord_server.channel import ChannelKind
from discord_server.error import ApiError
from discord_server.follower import Follower
from discord_server.permission import Permission
from discord_server.user import User
from discord_server.world import World

from .access import channel_of, seen

routes = Routes()


@routes.on("GET", "/channels/{channel_id}/webhooks")
def list_webhooks(world: World, call: Call) -> Reply:
    """Return the webhooks of a channel, which here are those by which it follows others."""
    channel = channel_of(world, call, Permission.MANAGE_WEBHOOKS)
    sources = (source for guild in world.guilds.values() for source in guild.channels.values())
    return Reply(
        [each.webhook_payload(source) for source in sources for each in source.followers if each.channel is channel]
    )


@routes.on("POST", "/channels/{channel_id}/followers")
def follow_channel(world: World, call: Call) -> Reply:
    """Let a channel repeat what is published in another one."""
    source = channel_of(world, call)
    target = seen(world, int(call.body["webhook_channel_id"]), Permission.MANAGE_WEBHOOKS)
    if source.kind is not ChannelKind.ANNOUNCEMENT or target.kind is not ChannelKind.TEXT:
        raise ApiError(50024)
    follower = Follower(target, User(world.snowflakes.next(), f"{source.guild.name} #{source.name}", bot=True))
    source.followers.append(follower)
    return Reply(follower.payload(source))
