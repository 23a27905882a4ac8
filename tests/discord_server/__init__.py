"""The loopback Discord: an HTTP API and a gateway on a loopback port, for one bot."""

from .channel import Channel
from .forum import Forum
from .guild import Guild
from .interaction import Interaction
from .message import Flag, Message
from .permission import Permission
from .rate_limit import RateLimits
from .server import DiscordServer
from .thread import Thread
from .user import Member
from .world import World

__all__ = [
    "Channel",
    "DiscordServer",
    "Flag",
    "Forum",
    "Guild",
    "Interaction",
    "Member",
    "Message",
    "Permission",
    "RateLimits",
    "Thread",
    "World",
]
