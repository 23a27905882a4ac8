"""Guilds, which users call servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from .channel import Channel, ChannelKind
from .forum import Forum, Tag
from .payload import Payload
from .permission import ALL, NONE, Permission
from .role import Role
from .user import JOINED, Member, User

if TYPE_CHECKING:
    from .thread import Thread
    from .world import World

BARE: Payload = {
    "icon": None,
    "description": None,
    "home_header": None,
    "splash": None,
    "discovery_splash": None,
    "features": [],
    "banner": None,
    "application_id": None,
    "region": "deprecated",
    "afk_channel_id": None,
    "afk_timeout": 300,
    "system_channel_flags": 0,
    "widget_enabled": False,
    "widget_channel_id": None,
    "verification_level": 0,
    "default_message_notifications": 1,
    "mfa_level": 0,
    "explicit_content_filter": 0,
    "max_presences": None,
    "max_members": 500_000,
    "max_stage_video_channel_users": 50,
    "max_video_channel_users": 25,
    "vanity_url_code": None,
    "premium_tier": 0,
    "premium_subscription_count": 0,
    "rules_channel_id": None,
    "safety_alerts_channel_id": None,
    "public_updates_channel_id": None,
    "premium_progress_bar_enabled": False,
    "nsfw": False,
    "nsfw_level": 0,
    "emojis": [],
    "stickers": [],
    "incidents_data": None,
}


@dataclass(eq=False)
class Guild:
    """A guild; changes by tests send events to the bot."""

    world: World = field(repr=False)
    id: int
    name: str
    owner: Member
    bot_role: Role
    joined: bool = True
    available: bool = True
    locale: str = "en-US"
    system_channel: Channel | None = None
    roles: dict[int, Role] = field(default_factory=dict, repr=False)
    members: dict[int, Member] = field(default_factory=dict, repr=False)
    channels: dict[int, Channel] = field(default_factory=dict, repr=False)
    threads: dict[int, Thread] = field(default_factory=dict, repr=False)

    @classmethod
    def create(cls, world: World, guild_id: int, name: str, permissions: int) -> Guild:
        """Create a guild with an owner, the bot and the bot's role."""
        owner = Member(User(world.snowflakes.next(), f"owner of {name}"))
        bot_role = Role(world.snowflakes.next(), world.bot.name, permissions, position=1, bot_id=world.bot.id)
        guild = cls(world, guild_id, name, owner, bot_role)
        guild.roles = {role.id: role for role in (Role(guild_id, "@everyone"), bot_role)}
        guild.members = {member.id: member for member in (owner, Member(world.bot, [bot_role]))}
        return guild

    def add_text_channel(self, name: str) -> Channel:
        """Add a text channel."""
        return self._add(Channel(self, self.world.snowflakes.next(), ChannelKind.TEXT, name))

    def add_announcement_channel(self, name: str) -> Channel:
        """Add a channel whose messages can be published."""
        return self._add(Channel(self, self.world.snowflakes.next(), ChannelKind.ANNOUNCEMENT, name))

    def add_forum(self, name: str, tags: Sequence[str] = (), *, requires_tag: bool = False) -> Forum:
        """Add a forum channel."""
        forum = Forum(self, self.world.snowflakes.next(), ChannelKind.FORUM, name, requires_tag=requires_tag)
        forum.tags = [Tag(self.world.snowflakes.next(), tag) for tag in tags]
        self._add(forum)
        return forum

    def _add(self, channel: Channel) -> Channel:
        channel.position = len(self.channels)
        self.channels[channel.id] = self.world.places[channel.id] = channel
        channel.announce("CREATE")
        return channel

    def add_role(self, name: str, permissions: int = NONE, *, mentionable: bool = False) -> Role:
        """Add a role."""
        role = Role(self.world.snowflakes.next(), name, permissions, len(self.roles), mentionable)
        self.roles[role.id] = role
        self.emit("GUILD_ROLE_CREATE", {"guild_id": str(self.id), "role": role.payload()})
        return role

    def add_member(self, name: str, *roles: Role, locale: str = "en-US") -> Member:
        """Add a human member with that locale."""
        member = Member(User(self.world.snowflakes.next(), name, locale=locale), list(roles))
        self.members[member.id] = member
        return member

    def active_threads(self) -> list[Thread]:
        """Return the threads that are not archived, the newest first."""
        threads = [thread for thread in self.threads.values() if not thread.archived]
        return sorted(threads, key=lambda thread: thread.id, reverse=True)

    def save_locales(self, locale: str) -> None:
        """Set the guild's language."""
        self.locale = locale
        self.emit("GUILD_UPDATE", self.payload())

    def kick_bot(self) -> None:
        """Remove the bot."""
        self.emit("GUILD_DELETE", {"id": str(self.id)})
        self.joined = False

    def invite_bot(self) -> None:
        """Add the bot again."""
        self.joined = True
        # discord.py treats a GUILD_CREATE without the key "unavailable" as a new guild.
        self.emit("GUILD_CREATE", self.create_payload())

    def go_down(self) -> None:
        """Begin an outage."""
        self.emit("GUILD_DELETE", self.unavailable_payload())
        self.available = False

    def come_back(self) -> None:
        """End an outage."""
        self.available = True
        self.emit("GUILD_CREATE", self.create_payload() | {"unavailable": False})

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Make the guild unavailable during the block."""
        self.go_down()
        try:
            yield
        finally:
            self.come_back()

    def emit(self, event: str, data: Payload) -> None:
        """Send an event to the bot, if it is in the guild and the guild is available."""
        if self.joined and self.available:
            self.world.emit(self.id, event, data)

    def permissions_of(self, member: Member, channel: Channel | None = None) -> Permission:
        """Return a member's permissions in the guild or in a channel."""
        everyone = self.roles[self.id]
        base = reduce(or_, (int(role.permissions) for role in (everyone, *member.roles)), 0)
        if member is self.owner or base & Permission.ADMINISTRATOR:
            return ALL
        return Permission(base if channel is None else self._overwritten(base, member, channel))

    def _overwritten(self, base: int, member: Member, channel: Channel) -> int:
        ranked: list[set[int]] = [{self.id}, {role.id for role in member.roles}, {member.id}]
        overwrites = channel.permission_source.overwrites
        for targets in ranked:
            chosen = [each for each in overwrites if each.target_id in targets]
            base &= ~reduce(or_, (each.deny for each in chosen), 0)
            base |= reduce(or_, (each.allow for each in chosen), 0)
        return base

    def bot_permissions(self, channel: Channel | None = None) -> Permission:
        """Return the bot's permissions; none if it isn't a member."""
        return self.permissions_of(self.members[self.world.bot.id], channel) if self.joined else NONE

    def payload(self) -> Payload:
        """Return the guild as the HTTP API sends it."""
        return BARE | {
            "id": str(self.id),
            "name": self.name,
            "owner_id": str(self.owner.id),
            "preferred_locale": self.locale,
            "system_channel_id": self.system_channel and str(self.system_channel.id),
            "roles": [role.payload() for role in self.roles.values()],
        }

    def create_payload(self) -> Payload:
        """Return the guild as in GUILD_CREATE."""
        return self.payload() | {
            "joined_at": JOINED,
            "large": False,
            "member_count": len(self.members),
            "members": [self.members[self.world.bot.id].full_payload()],
            "channels": [channel.payload() for channel in self.channels.values()],
            "threads": [thread.payload() for thread in self.active_threads()],
            **{key: [] for key in ("voice_states", "presences", "stage_instances")},
            **{key: [] for key in ("guild_scheduled_events", "soundboard_sounds")},
        }

    def own_payload(self) -> Payload:
        """Return the guild as in the bot's list of guilds."""
        return {
            "id": str(self.id),
            "name": self.name,
            "icon": None,
            "banner": None,
            "owner": False,
            "permissions": str(int(self.bot_permissions())),
            "features": [],
        }

    def unavailable_payload(self) -> Payload:
        """Return the placeholder for an unavailable guild."""
        return {"id": str(self.id), "unavailable": True}
