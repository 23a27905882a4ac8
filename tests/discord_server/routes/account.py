"""The bot's user, application and gateway."""

from discord_server.call import Call, Reply, Routes
from discord_server.world import World

routes = Routes()


@routes.on("GET", "/users/@me")
def read_user(world: World, _call: Call) -> Reply:
    """Return the bot's user."""
    return Reply(world.bot.own_payload())


@routes.on("GET", "/oauth2/applications/@me", "/applications/@me")
def read_application(world: World, _call: Call) -> Reply:
    """Return the bot's application."""
    return Reply(world.application.payload(world.bot, len(world.joined_guilds())))


@routes.on("GET", "/gateway", needs_token=False)
def read_gateway(world: World, _call: Call) -> Reply:
    """Return the gateway's URL."""
    return Reply({"url": world.gateway_url})


@routes.on("GET", "/gateway/bot")
def read_bot_gateway(world: World, _call: Call) -> Reply:
    """Return the gateway's URL and the recommended number of shards."""
    limit = world.starts.payload()
    return Reply({"url": world.gateway_url, "shards": world.shards, "session_start_limit": limit})
