"""Channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from itertools import takewhile
from typing import TYPE_CHECKING

from .archive import Archive
from .attachment import NO_UPLOADS, Uploads
from .error import ApiError
from .form import check_nonce
from .history import History
from .message import Message
from .payload import Payload
from .permission import Overwrite, Permission

if TYPE_CHECKING:
    from .follower import Follower
    from .guild import Guild
    from .role import Role
    from .user import Member, User
    from .world import World


class ChannelKind(IntEnum):
    """Discord's channel types."""

    TEXT = 0
    ANNOUNCEMENT = 5
    ANNOUNCEMENT_THREAD = 10
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12
    FORUM = 15


@dataclass(eq=False)
class Channel:
    """A channel and its messages, the oldest first, including ephemeral ones."""

    guild: Guild = field(repr=False)
    id: int
    kind: ChannelKind
    name: str
    topic: str | None = None
    position: int = 0
    overwrites: list[Overwrite] = field(default_factory=list, repr=False)
    messages: History = field(default_factory=History, repr=False)
    deleted: list[Message] = field(default_factory=list, repr=False)
    last_message_id: int | None = None
    archive: Archive = field(default_factory=Archive, repr=False)
    followers: list[Follower] = field(default_factory=list, repr=False)

    EVENTS = "CHANNEL"

    @property
    def world(self) -> World:
        """Return the channel's world."""
        return self.guild.world

    @property
    def mention(self) -> str:
        """Return the channel's mention."""
        return f"<#{self.id}>"

    def pointer(self) -> Payload:
        """Return a message reference to the channel."""
        return {"type": 0, "channel_id": str(self.id), "guild_id": str(self.guild.id)}

    @property
    def permission_source(self) -> Channel:
        """Return the channel whose overwrites apply here."""
        return self

    @property
    def pins(self) -> list[Message]:
        """Return the pinned messages, the last pinned first."""
        pinned = [message for message in self.messages.values() if message.pinned_at]
        return sorted(pinned, key=_pinned_at, reverse=True)

    def history(self) -> list[Message]:
        """Return the messages that everyone sees, the oldest first."""
        return list(self.messages.since(0))

    def post(
        self, author: User, body: Payload, uploads: Uploads = NO_UPLOADS, *, message_id: int | None = None
    ) -> Message:
        """Send a message, or return the earlier one with the same nonce.

        A given ID, for example of Snowflakes.at, sets the time of the message.
        """
        check_nonce(body)
        if (duplicate := self._duplicate(author, body)) is not None:
            return duplicate
        message = Message(message_id or self.world.snowflakes.next(), self, author, nonce=body.get("nonce"))
        message.write(body, uploads)
        if message.empty:
            raise ApiError(50006)
        self.add(message)
        return message

    def add(self, message: Message) -> None:
        """Add a message."""
        self.messages[message.id] = message
        if not message.ephemeral:
            self.last_message_id = max(message.id, self.last_message_id or 0)

    def add_notice(self, kind: int, author: User, reference: Payload) -> Message:
        """Add a notice about a pin, the end of a poll or a new follower, as Discord does."""
        notice = Message(self.world.snowflakes.next(), self, author, kind, reference=reference)
        self.add(notice)
        return notice

    def remove(self, message: Message) -> None:
        """Delete a message; it stays the channel's last message ID, and its nonce stays reserved for a while."""
        del self.messages[message.id]
        self.deleted.append(message)

    def _duplicate(self, author: User, body: Payload) -> Message | None:
        if not body.get("enforce_nonce") or body.get("nonce") is None:
            return None
        since = self.world.clock() - self.world.nonce_window
        recent = takewhile(lambda each: each.created_at >= since, self.messages.before(1 << 63))
        self.deleted = [each for each in self.deleted if each.created_at >= since]
        same = (each for each in (*self.deleted, *recent) if each.author == author and each.nonce == body["nonce"])
        duplicate = next(same, None)
        if duplicate in self.deleted:
            raise ApiError(10008)
        return duplicate

    def overwrite(self, target: Role | Member, *, allow: int = 0, deny: int = 0) -> None:
        """Set the permissions of a role or a member in this channel."""
        kind = int(target.id in self.guild.members)
        self.overwrites = [each for each in self.overwrites if each.target_id != target.id]
        self.overwrites.append(Overwrite(target.id, kind, int(allow), int(deny)))
        self.announce("UPDATE")

    def forbid(self, permissions: int = Permission.SEND_MESSAGES) -> None:
        """Deny the bot permissions in this channel."""
        self.overwrite(self.guild.bot_role, deny=permissions)

    def edit(self, changes: Payload) -> None:
        """Change the channel according to a request."""
        self.name = changes.get("name", self.name)
        self.topic = changes.get("topic", self.topic)
        self.announce("UPDATE")

    def delete(self) -> None:
        """Delete the channel and its threads."""
        for thread in [each for each in self.guild.threads.values() if each.parent is self]:
            del self.guild.threads[thread.id], self.world.places[thread.id]
        del self.guild.channels[self.id], self.world.places[self.id]
        self.announce("DELETE")

    def announce(self, change: str) -> None:
        """Send the bot a CREATE, UPDATE or DELETE event."""
        self.guild.emit(f"{self.EVENTS}_{change}", self.payload())

    def payload(self) -> Payload:
        """Return the channel as Discord sends it."""
        return {
            "id": str(self.id),
            "guild_id": str(self.guild.id),
            "type": int(self.kind),
            "name": self.name,
            "topic": self.topic,
            "position": self.position,
            "parent_id": None,
            "nsfw": False,
            "flags": 0,
            "rate_limit_per_user": 0,
            "last_message_id": self.last_message_id and str(self.last_message_id),
            "permission_overwrites": [overwrite.payload() for overwrite in self.overwrites],
        }


def _pinned_at(message: Message) -> datetime:
    return message.pinned_at or message.created_at
