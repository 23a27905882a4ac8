"""Threads, among them a forum's posts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from .channel import Channel, ChannelKind
from .form import check_thread
from .payload import Payload
from .snowflake import moment

if TYPE_CHECKING:
    from .user import User


@dataclass(eq=False)
class Thread(Channel):
    """A thread under a channel."""

    EVENTS = "THREAD"

    parent: Channel = field(kw_only=True, repr=False)
    owner: User = field(kw_only=True)
    archived_at: datetime | None = None
    locked: bool = False
    auto_archive_duration: int = 1440
    applied_tags: list[int] = field(default_factory=list)

    @classmethod
    def open(cls, parent: Channel, owner: User, thread_id: int, body: Payload) -> Thread:
        """Make a thread as a request says, which nobody sees yet."""
        check_thread(body)
        kind = ChannelKind.ANNOUNCEMENT_THREAD if parent.kind is ChannelKind.ANNOUNCEMENT else ChannelKind.PUBLIC_THREAD
        thread = cls(parent.guild, thread_id, ChannelKind(body.get("type", kind)), "", parent=parent, owner=owner)
        thread.change(body)
        return thread

    @property
    def permission_source(self) -> Channel:
        """Return the channel whose overwrites count here."""
        return self.parent

    @property
    def archived(self) -> bool:
        """Tell whether it is archived."""
        return self.archived_at is not None

    def change(self, changes: Payload) -> None:
        """Take over what a request says."""
        self.name = changes.get("name", self.name)
        self.locked = changes.get("locked", self.locked)
        self.auto_archive_duration = changes.get("auto_archive_duration") or self.auto_archive_duration
        self.applied_tags = [int(tag) for tag in changes.get("applied_tags") or self.applied_tags]
        if "archived" in changes:
            self.archived_at = self.world.clock() if changes["archived"] else None

    def edit(self, changes: Payload) -> None:
        """Change it as a request says."""
        check_thread({"name": self.name} | changes)
        self.change(changes)
        self.announce("UPDATE")

    def delete(self) -> None:
        """Delete it."""
        del self.guild.threads[self.id], self.world.places[self.id]
        self.announce("DELETE")

    def publish(self) -> None:
        """Put it into the guild, and tell the bot."""
        self.guild.threads[self.id] = self.world.places[self.id] = self
        self.guild.emit("THREAD_CREATE", self.payload() | {"newly_created": True})

    def member_payload(self) -> Payload:
        """Return the bot's membership."""
        joined = moment(self.id).isoformat()
        return {"id": str(self.id), "user_id": str(self.world.bot.id), "join_timestamp": joined, "flags": 0}

    def payload(self) -> Payload:
        """Return it as Discord sends it."""
        return {
            "id": str(self.id),
            "guild_id": str(self.guild.id),
            "parent_id": str(self.parent.id),
            "owner_id": str(self.owner.id),
            "type": int(self.kind),
            "name": self.name,
            "flags": 0,
            "rate_limit_per_user": 0,
            "last_message_id": str(max(self.messages)) if self.messages else None,
            "message_count": len(self.messages),
            "total_message_sent": len(self.messages),
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
