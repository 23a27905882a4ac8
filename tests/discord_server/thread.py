"""Threads and forum posts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from .attachment import NO_UPLOADS, Uploads
from .channel import Channel, ChannelKind
from .error import ApiError
from .form import check_thread
from .message import Flag, Message
from .payload import Payload
from .snowflake import moment

if TYPE_CHECKING:
    from .user import User


@dataclass(eq=False)
class Thread(Channel):
    """A thread in a channel."""

    EVENTS = "THREAD"

    parent: Channel = field(kw_only=True, repr=False)
    owner: User = field(kw_only=True)
    archived_at: datetime | None = None
    locked: bool = False
    auto_archive_duration: int = 1440
    applied_tags: list[int] = field(default_factory=list)
    initial_id: int | None = None
    sent: int = 0

    @classmethod
    def open(cls, parent: Channel, owner: User, thread_id: int, body: Payload) -> Thread:
        """Create a thread from a request, without publishing it."""
        check_thread(body)
        kind = ChannelKind.ANNOUNCEMENT_THREAD if parent.kind is ChannelKind.ANNOUNCEMENT else ChannelKind.PUBLIC_THREAD
        thread = cls(parent.guild, thread_id, ChannelKind(body.get("type", kind)), "", parent=parent, owner=owner)
        thread.change(body)
        return thread

    @classmethod
    def open_on(cls, message: Message, owner: User, body: Payload) -> Thread:
        """Create a thread on a message; it gets the message's ID and starts with a reference to the message."""
        if message.thread is not None:
            raise ApiError(160004)
        thread = cls.open(message.channel, owner, message.id, body)
        starter = message.starter(thread.world.snowflakes.next(), thread)
        thread.initial_id, thread.messages[starter.id] = starter.id, starter
        message.thread, message.flags = thread, message.flags | Flag.HAS_THREAD
        return thread

    @classmethod
    def open_post(cls, forum: Channel, owner: User, body: Payload, uploads: Uploads = NO_UPLOADS) -> Thread:
        """Create a forum post, which starts with a message with the same ID."""
        return cls._posted(forum, owner, forum.world.snowflakes.next(), body, uploads)

    @classmethod
    def archived_post(cls, forum: Channel, owner: User, opened: datetime, archived: datetime, body: Payload) -> Thread:
        """Create an archived forum post of the past without an event."""
        thread = cls._posted(forum, owner, forum.world.snowflakes.at(opened), body, NO_UPLOADS)
        thread.archived_at = archived
        thread.register()
        return thread

    @classmethod
    def _posted(cls, forum: Channel, owner: User, thread_id: int, body: Payload, uploads: Uploads) -> Thread:
        thread = cls.open(forum, owner, thread_id, body)
        thread.initial_id = thread_id
        thread.post(owner, body["message"], uploads, message_id=thread_id)
        return thread

    @property
    def permission_source(self) -> Channel:
        """Return the channel whose overwrites apply here."""
        return self.parent

    @property
    def archived(self) -> bool:
        """Return whether the thread is archived."""
        return self.archived_at is not None

    def change(self, changes: Payload) -> None:
        """Apply a request's fields."""
        self.name = changes.get("name", self.name)
        self.locked = changes.get("locked", self.locked)
        self.auto_archive_duration = changes.get("auto_archive_duration") or self.auto_archive_duration
        self.applied_tags = [int(tag) for tag in changes.get("applied_tags") or self.applied_tags]
        if "archived" in changes:
            self._leave_archive()
            self.archived_at = self.world.clock() if changes["archived"] else None
            self._enter_archive()

    def _enter_archive(self) -> None:
        if self.archived_at and self.id in self.guild.threads:
            self.parent.archive.add(self.archived_at, self.id)

    def _leave_archive(self) -> None:
        if self.archived_at and self.id in self.guild.threads:
            self.parent.archive.remove(self.archived_at, self.id)

    def add(self, message: Message) -> None:
        """Add a message."""
        super().add(message)
        self.sent += message.id != self.initial_id and not message.ephemeral

    def edit(self, changes: Payload) -> None:
        """Edit the thread according to a request."""
        check_thread({"name": self.name} | changes)
        self.change(changes)
        self.announce("UPDATE")

    def delete(self) -> None:
        """Delete the thread."""
        self._leave_archive()
        del self.guild.threads[self.id], self.world.places[self.id]
        fields = ("id", "guild_id", "parent_id", "type")
        self.guild.emit("THREAD_DELETE", {key: value for key, value in self.payload().items() if key in fields})

    def publish(self) -> None:
        """Add the thread to the guild, and send an event to the bot."""
        self.register()
        self.guild.emit("THREAD_CREATE", self.payload() | {"newly_created": True})

    def register(self) -> None:
        """Add the thread to the guild."""
        self.guild.threads[self.id] = self.world.places[self.id] = self
        self._enter_archive()
        if self.parent.kind is ChannelKind.FORUM:
            self.parent.last_message_id = max(self.id, self.parent.last_message_id or 0)

    def member_payload(self) -> Payload:
        """Return the bot's membership."""
        joined = moment(self.id).isoformat()
        return {"id": str(self.id), "user_id": str(self.world.bot.id), "join_timestamp": joined, "flags": 0}

    def payload(self) -> Payload:
        """Return the thread as Discord sends it."""
        return {
            "id": str(self.id),
            "guild_id": str(self.guild.id),
            "parent_id": str(self.parent.id),
            "owner_id": str(self.owner.id),
            "type": int(self.kind),
            "name": self.name,
            "flags": 0,
            "rate_limit_per_user": 0,
            "last_message_id": self.last_message_id and str(self.last_message_id),
            "message_count": len(self.messages) - (self.initial_id in self.messages),
            "total_message_sent": self.sent,
            "member_count": 1,
            "applied_tags": [str(tag) for tag in self.applied_tags],
            "thread_metadata": self._metadata(),
            "member": self.member_payload(),
        }

    def _metadata(self) -> Payload:
        created = moment(self.id)
        return {
            "archived": self.archived,
            "archive_timestamp": (self.archived_at or created).isoformat(),
            "auto_archive_duration": self.auto_archive_duration,
            "locked": self.locked,
            "create_timestamp": created.isoformat(),
        }
