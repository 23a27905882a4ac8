"""The HTTP API by resource."""

from discord_server.call import Route

from . import account, channels, commands, followers, guilds, interactions, messages, pins, threads

GROUPS = (account, channels, commands, followers, guilds, interactions, messages, pins, threads)

ROUTES: list[Route] = [route for group in GROUPS for route in group.routes.routes]
