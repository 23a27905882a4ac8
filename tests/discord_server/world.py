"""The state of the loopback Discord, independent of the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from .application import Application
from .channel import Channel
from .command import Commands
from .date_header import DateHeader
from .error import ApiError
from .guild import Guild
from .interaction import Interaction, InteractionKind
from .late_effect import LateEffects
from .message import Message
from .oddity import Oddities
from .payload import Payload
from .permission import BOT_DEFAULT
from .snowflake import Clock, Snowflakes, utc_now
from .start_limit import StartLimit
from .user import Member, User

Listener: TypeAlias = Callable[[int, str, Payload], None]
"""Called with each event: the guild's ID, the event's name and its data."""

# Divisible by the shard counts of the tests, so that the first guild belongs to shard 0.
FIRST_GUILD = 110_880_000_000


@dataclass(eq=False)
class World:
    """The guilds and the one bot."""

    token: str = "test.bot.token"
    shards: int = 1
    clock: Clock = utc_now
    nonce_window: timedelta = timedelta(minutes=3)
    most_active_threads: int = 1000
    gateway_url: str = ""
    starts: StartLimit = field(default_factory=StartLimit)
    guilds: dict[int, Guild] = field(default_factory=dict)
    places: dict[int, Channel] = field(default_factory=dict)
    interactions: dict[str, Interaction] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)
    snowflakes: Snowflakes = field(init=False)
    commands: Commands = field(init=False)
    application: Application = field(init=False)
    bot: User = field(init=False)
    date: DateHeader = field(init=False)
    late_effects: LateEffects = field(init=False)
    oddities: Oddities = field(default_factory=Oddities)

    def __post_init__(self) -> None:
        self.date = DateHeader(lambda: self.clock())
        self.late_effects = LateEffects(lambda: self.clock())
        self.snowflakes = Snowflakes(lambda: self.clock())
        self.commands = Commands(self.snowflakes)
        self.bot = User(self.snowflakes.next(), "weekbot", bot=True)
        self.application = Application(self.bot.id, self.bot.name, User(self.snowflakes.next(), "developer"))

    def add_guild(
        self, name: str, permissions: int = BOT_DEFAULT, *, joined: bool = True, available: bool = True
    ) -> Guild:
        """Add a guild; guilds are distributed to the shards in turn, from shard 0.

        The bot gets no events of a guild that it has not joined, or that is unavailable.
        """
        guild = Guild.create(self, FIRST_GUILD + len(self.guilds) << 22, name, permissions)
        guild.joined, guild.available = joined, available
        self.guilds[guild.id] = guild
        guild.emit("GUILD_CREATE", guild.create_payload())
        return guild

    def joined_guilds(self) -> list[Guild]:
        """Return the guilds that the bot is in."""
        return [guild for guild in self.guilds.values() if guild.joined]

    def guild(self, guild_id: int) -> Guild:
        """Return a guild that the bot is in."""
        guild = self.guilds.get(guild_id)
        if guild is None or not guild.joined:
            raise ApiError(10004)
        return guild

    def channel(self, channel_id: int) -> Channel:
        """Return a channel or a thread of any guild."""
        if (channel := self.places.get(channel_id)) is None:
            raise ApiError(10003)
        return channel

    def begin(self, kind: InteractionKind, channel: Channel, member: Member, message: Message | None) -> Interaction:
        """Start an interaction."""
        interaction_id = self.snowflakes.next()
        interaction = Interaction(interaction_id, f"token-of-{interaction_id}", kind, channel, member, message)
        self.interactions[interaction.token] = interaction
        return interaction

    def emit(self, guild_id: int, event: str, data: Payload) -> None:
        """Send an event to the listeners."""
        for listener in self.listeners:
            listener(guild_id, event, data)
