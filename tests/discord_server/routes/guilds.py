"""Guilds."""

from discord_server.call import NO_CONTENT, Call, Reply, Routes
from discord_server.error import ApiError
from discord_server.world import World

routes = Routes()


@routes.on("GET", "/guilds/{guild_id}")
def read_guild(world: World, call: Call) -> Reply:
    """Return a guild."""
    guild = world.guild(call.id("guild_id"))
    counts = {"approximate_member_count": len(guild.members), "approximate_presence_count": 1}
    return Reply(guild.payload() | (counts if call.query.get("with_counts") in ("1", "true") else {}))


@routes.on("GET", "/guilds/{guild_id}/channels")
def list_channels(world: World, call: Call) -> Reply:
    """Return a guild's channels."""
    return Reply([channel.payload() for channel in world.guild(call.id("guild_id")).channels.values()])


@routes.on("GET", "/guilds/{guild_id}/members/{user_id}")
def read_member(world: World, call: Call) -> Reply:
    """Return a guild's member."""
    member = world.guild(call.id("guild_id")).members.get(call.id("user_id"))
    if member is None:
        raise ApiError(10007)
    return Reply(member.full_payload())


@routes.on("GET", "/guilds/{guild_id}/roles")
def list_roles(world: World, call: Call) -> Reply:
    """Return a guild's roles."""
    return Reply([role.payload() for role in world.guild(call.id("guild_id")).roles.values()])


@routes.on("GET", "/users/@me/guilds")
def list_guilds(world: World, call: Call) -> Reply:
    """Return a page of the guilds that the bot is in, by ID."""
    after, before = int(call.query.get("after", 0)), int(call.query.get("before", 1 << 63))
    guilds = sorted((each for each in world.joined_guilds() if after < each.id < before), key=lambda each: each.id)
    return Reply([guild.own_payload() for guild in guilds[: call.limit(200, 200)]])


@routes.on("DELETE", "/users/@me/guilds/{guild_id}")
def leave_guild(world: World, call: Call) -> Reply:
    """Let the bot leave a guild."""
    world.guild(call.id("guild_id")).kick_bot()
    return NO_CONTENT
