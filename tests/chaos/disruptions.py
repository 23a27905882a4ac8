"""Disruptions of Discord's state, of a machine or of a bot, in addition to faults of requests and events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Final, TypeAlias

from discord_server import Channel, DiscordServer, Interaction
from discord_server.gateway import Close
from discord_server.oddity import MESSAGE_ODDITIES
from discord_server.thread import Thread

from .fast_time import FastTime

Disruption: TypeAlias = Callable[[DiscordServer, FastTime, Random], AbstractAsyncContextManager[None]]
"""Lasts while its block runs."""

CLOCK_ERRORS: Final = tuple(timedelta(seconds=sign * seconds) for seconds in (8, 600, 3600, 90_000) for sign in (1, -1))
COMMANDS: Final[Sequence[tuple[str, Mapping[str, str]]]] = (
    ("weekly status", {}),
    ("framework", {"name": "flask"}),
    ("topic current", {}),
    ("help", {}),
)


@asynccontextmanager
async def discord_outage(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """Discord has an outage."""
    async with server.outage(refuses=dice.random() < 0.5, resumable=dice.random() < 0.5):
        yield


@asynccontextmanager
async def guild_outage(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """A server has an outage."""
    with dice.choice([guild for guild in server.world.joined_guilds() if guild.available]).outage():
        yield


@asynccontextmanager
async def disconnected(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """The gateway connections break, at the start and at the end."""
    disconnect(server, dice)
    yield
    disconnect(server, dice)


def disconnect(server: DiscordServer, dice: Random) -> None:
    match dice.randrange(4):
        case 0:
            server.gateway.close(dice.choice([1006, 1011, Close.UNKNOWN_ERROR, Close.SESSION_TIMED_OUT]))
        case 1:
            server.gateway.sessions.clear()
            server.gateway.close(Close.UNKNOWN_ERROR)
        case 2:
            server.gateway.reconnect()
        case _:
            server.gateway.invalidate(resumable=dice.random() < 0.5)


@asynccontextmanager
async def missing_heartbeats(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """The gateway does not acknowledge heartbeats."""
    server.gateway.acknowledges = False
    try:
        yield
    finally:
        server.gateway.acknowledges = True


@asynccontextmanager
async def wrong_dates(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """All responses have a wrong date."""
    with server.world.date.stale() if dice.random() < 0.3 else server.world.date.shifted(dice.choice(CLOCK_ERRORS)):
        yield


@asynccontextmanager
async def wrong_machine_clock(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """The bot's machine has a wrong clock."""
    time.set_machine(dice.choice(CLOCK_ERRORS))
    try:
        yield
    finally:
        time.set_machine(timedelta())


@asynccontextmanager
async def threads_archived(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """Half of the threads are archived, and no new ones can be opened."""
    for thread in [thread for guild in server.world.joined_guilds() for thread in guild.active_threads()]:
        if dice.random() < 0.5:
            thread.edit({"archived": True})
    server.world.most_active_threads, before = 0, server.world.most_active_threads
    try:
        yield
    finally:
        server.world.most_active_threads = before


@asynccontextmanager
async def threads_locked(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """Threads of posts are locked for a while."""
    threads = [
        thread for guild in server.world.joined_guilds() for thread in guild.active_threads() if _is_post(thread)
    ]
    for thread in threads:
        thread.edit({"locked": True})
    try:
        yield
    finally:
        for thread in threads:
            if thread.id in thread.guild.threads:
                thread.edit({"locked": False})


def _is_post(thread: Thread) -> bool:
    return thread.owner.bot


@asynccontextmanager
async def odd_messages(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """Members write messages that no library can parse."""
    for channel in channels(server):
        for number in range(dice.randint(0, 3)):
            message = channel.post(channel.guild.owner.user, {"content": f"message {number}"})
            message.make_odd(dice.choice(list(MESSAGE_ODDITIES.values())))
    yield


@asynccontextmanager
async def commands(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """Members use commands, which arrive repeatedly, too late or at another program with the same token."""
    use_some(server, dice)
    yield
    use_some(server, dice)


def use_some(server: DiscordServer, dice: Random) -> None:
    for _ in range(3):
        use(server, dice)


def use(server: DiscordServer, dice: Random) -> None:
    channel = dice.choice(channels(server))
    command, options = dice.choice(COMMANDS)
    prepare = dice.choice([Interaction.expire, Interaction.acknowledge_elsewhere, _nothing])
    if not any(session.serves(channel.guild.id) for session in server.gateway.connected()):
        return
    interaction = server.invoke(channel, command, options, unchecked=True, prepare=prepare)
    for _ in range(dice.randint(0, 2)):
        server.replay(interaction)


def _nothing(_: Interaction) -> None:
    """Leave the interaction as it is."""


@asynccontextmanager
async def new_servers(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """Add servers that the bot isn't in or that have an outage; their members use commands."""
    not_joined = server.add_guild(f"Strangers {len(server.world.guilds)}", joined=False)
    unavailable = server.add_guild(f"Latecomers {len(server.world.guilds)}", available=False)
    for guild in (not_joined, unavailable):
        channel = guild.add_text_channel("general")
        if any(session.serves(guild.id) for session in server.gateway.connected()):
            server.invoke(channel, "help", {}, unchecked=True)
    yield
    unavailable.come_back()


@asynccontextmanager
async def commands_replaced(server: DiscordServer, time: FastTime, dice: Random) -> AsyncIterator[None]:
    """Another program registers its own commands."""
    server.world.commands.replace(0, [{"name": "other", "description": "Of another program"}])
    if dice.random() < 0.5:
        server.world.commands.add_entry_point()
    yield


def channels(server: DiscordServer) -> list[Channel]:
    """Return the text channels of the servers that the bot is in."""
    return [
        channel
        for guild in server.world.joined_guilds()
        for channel in guild.channels.values()
        if guild.available and channel.kind.name == "TEXT"
    ]


ALL: Final[tuple[Disruption, ...]] = (
    discord_outage,
    guild_outage,
    disconnected,
    missing_heartbeats,
    wrong_dates,
    wrong_machine_clock,
    threads_archived,
    threads_locked,
    odd_messages,
    commands,
    new_servers,
    commands_replaced,
)
