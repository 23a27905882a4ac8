"""Global commands and guild commands."""

from discord_server.call import NO_CONTENT, Call, Reply, Routes
from discord_server.command import Command, untranslated
from discord_server.world import World

EVERYWHERE = "/applications/{application_id}/commands"
IN_GUILD = "/applications/{application_id}/guilds/{guild_id}/commands"
ONE = (f"{EVERYWHERE}/{{command_id}}", f"{IN_GUILD}/{{command_id}}")

routes = Routes()


def _scope(call: Call) -> int:
    return int(call.parameters.get("guild_id", 0))


def _one(world: World, call: Call) -> Command:
    return world.commands.get(_scope(call), call.id("command_id"))


@routes.on("GET", EVERYWHERE, IN_GUILD)
def list_commands(world: World, call: Call) -> Reply:
    """Return the commands, without translations unless they are requested."""
    listed = [command.payload(world.application.id) for command in world.commands.of(_scope(call))]
    return Reply(listed if call.query.get("with_localizations") == "true" else untranslated(listed))


@routes.on("PUT", EVERYWHERE, IN_GUILD)
def replace_commands(world: World, call: Call) -> Reply:
    """Replace all commands."""
    commands = world.commands.overwrite(_scope(call), call.body)
    return Reply([command.payload(world.application.id) for command in commands])


@routes.on("POST", EVERYWHERE, IN_GUILD)
def register_command(world: World, call: Call) -> Reply:
    """Register a command."""
    known = {command.id for command in world.commands.of(_scope(call))}
    command = world.commands.upsert(_scope(call), call.body)
    return Reply(command.payload(world.application.id), 200 if command.id in known else 201)


@routes.on("GET", *ONE)
def read_command(world: World, call: Call) -> Reply:
    """Return a command."""
    return Reply(_one(world, call).payload(world.application.id))


@routes.on("PATCH", *ONE)
def edit_command(world: World, call: Call) -> Reply:
    """Change a command."""
    command = _one(world, call)
    command.body, command.version = command.body | call.body, world.snowflakes.next()
    return Reply(command.payload(world.application.id))


@routes.on("DELETE", *ONE)
def delete_command(world: World, call: Call) -> Reply:
    """Delete a command."""
    world.commands.of(_scope(call)).remove(_one(world, call))
    return NO_CONTENT
