"""Messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntFlag
from typing import TYPE_CHECKING

from . import embed
from .attachment import NO_UPLOADS, Attachment, Uploads
from .component import completed, find, texts, walk
from .error import ApiError
from .form import check_message
from .mention import pinged_roles, pinged_users, pings_everyone
from .oddity import Change
from .payload import Payload
from .poll import Poll
from .snowflake import moment

if TYPE_CHECKING:
    from .channel import Channel
    from .thread import Thread
    from .user import User


class Flag(IntFlag):
    """Discord's message flags."""

    CROSSPOSTED = 1 << 0
    IS_CROSSPOST = 1 << 1
    SUPPRESS_EMBEDS = 1 << 2
    SOURCE_MESSAGE_DELETED = 1 << 3
    HAS_THREAD = 1 << 5
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SUPPRESS_NOTIFICATIONS = 1 << 12
    COMPONENTS_V2 = 1 << 15


SENDABLE = Flag.SUPPRESS_EMBEDS | Flag.EPHEMERAL | Flag.SUPPRESS_NOTIFICATIONS | Flag.COMPONENTS_V2

NO_FLAGS = Flag(0)

PIN_NOTICE, FOLLOW_NOTICE, THREAD_STARTER, POLL_RESULT = 6, 12, 21, 46


@dataclass(eq=False)
class Message:
    """A message in a channel, or an ephemeral one beside it."""

    id: int
    channel: Channel = field(repr=False)
    author: User
    kind: int = 0
    content: str = ""
    embeds: list[Payload] = field(default_factory=list)
    components: list[Payload] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: Flag = NO_FLAGS
    nonce: str | None = None
    allowed_mentions: Payload | None = None
    edited_at: datetime | None = None
    pinned_at: datetime | None = None
    poll: Poll | None = None
    thread: Thread | None = None
    interaction: Payload | None = None
    origin: Message | None = field(default=None, repr=False)
    started_from: Message | None = field(default=None, repr=False)
    reference: Payload | None = None
    crossposts: list[Message] = field(default_factory=list, repr=False)

    @property
    def created_at(self) -> datetime:
        """Return the time at which the message was sent."""
        return moment(self.id)

    @property
    def ephemeral(self) -> bool:
        """Return whether only one member sees the message."""
        return Flag.EPHEMERAL in self.flags

    @property
    def text(self) -> str:
        """Return the message's whole text: its content, embeds and text displays, one line each."""
        return "\n".join(filter(None, [self.content, *embed.texts(self.embeds), *texts(self.components)]))

    @property
    def mentioning_text(self) -> str:
        """Return the text that can ping; embeds can't."""
        return "\n".join([self.content, *texts(self.components)])

    @property
    def custom_ids(self) -> list[str]:
        """Return the custom IDs of the components in display order."""
        return [component["custom_id"] for component in walk(self.components) if "custom_id" in component]

    @property
    def pinged_roles(self) -> list[int]:
        """Return the roles that the message pings."""
        return pinged_roles(self.mentioning_text, self.allowed_mentions)

    @property
    def empty(self) -> bool:
        """Return whether the message has no visible content."""
        return not (self.content or self.embeds or self.components or self.attachments or self.poll)

    def make_odd(self, change: Change) -> None:
        """Send the message in an undocumented form from now on; see oddity.MESSAGE_ODDITIES."""
        self.channel.world.oddities.changes[self.id] = change

    def component(self, custom_id: str) -> Payload:
        """Return the component with a custom ID."""
        return find(self.components, custom_id)

    def write(self, body: Payload, uploads: Uploads = NO_UPLOADS) -> None:
        """Apply a request's fields, and keep the others."""
        flags = self.flags | Flag(body.get("flags") or 0) & SENDABLE
        kept = {"content": self.content, "embeds": self.embeds}
        check_message(kept | body, components_v2=Flag.COMPONENTS_V2 in flags)
        if "poll" in body:
            self.poll = Poll.begin(body["poll"], self.channel.world.clock())
        self.content = body.get("content", self.content) or ""
        self.embeds = body.get("embeds", self.embeds) or []
        if "components" in body:
            self.components = completed(body["components"] or [])
        if "attachments" in body:
            self.attachments = [self._attachment(entry, uploads) for entry in body["attachments"] or []]
        self.flags = flags
        self.allowed_mentions = body.get("allowed_mentions", self.allowed_mentions)

    def _attachment(self, entry: Payload, uploads: Uploads) -> Attachment:
        kept = {str(attachment.id): attachment for attachment in self.attachments}
        name = str(entry["id"])
        if name in kept:
            return kept[name]
        upload = uploads[name]
        return Attachment(self.channel.world.snowflakes.next(), upload.filename, upload.content)

    def edit(self, body: Payload, uploads: Uploads = NO_UPLOADS) -> None:
        """Edit the message according to a request."""
        if self.poll:
            raise ApiError(520003)
        self.write(body, uploads)
        self.edited_at = self.channel.world.clock()
        for copy in self.crossposts:
            copy.take_over(self)

    def take_over(self, origin: Message) -> None:
        """Copy the contents of the published message, without its components, as Discord does."""
        self.content, self.embeds = origin.content, origin.embeds
        self.attachments, self.allowed_mentions = origin.attachments, {"parse": []}
        self.flags |= origin.flags & SENDABLE & ~Flag.COMPONENTS_V2
        self.edited_at = origin.edited_at

    def delete(self) -> None:
        """Delete the message; published copies are kept and marked."""
        self.channel.remove(self)
        for copy in self.crossposts:
            copy.flags |= Flag.SOURCE_MESSAGE_DELETED

    def payload(self) -> Payload:
        """Return the message as in Discord's history, without the nonce."""
        return {
            "id": str(self.id),
            "channel_id": str(self.channel.id),
            "type": self.kind,
            "author": self.author.payload(),
            "content": self.content,
            "embeds": self.embeds,
            "components": self.components,
            "attachments": [attachment.payload() for attachment in self.attachments],
            "flags": int(self.flags),
            "timestamp": self.created_at.isoformat(),
            "edited_timestamp": self.edited_at and self.edited_at.isoformat(),
            "pinned": self.pinned_at is not None,
            "tts": False,
            **self._mentions_payload(),
            **self._extra_payload(),
        }

    def starter(self, message_id: int, thread: Thread) -> Message:
        """Return the first message of a thread that is opened on this message."""
        return Message(message_id, thread, thread.owner, THREAD_STARTER, started_from=self)

    def pointer(self) -> Payload:
        """Return a message reference to the message."""
        return self.channel.pointer() | {"message_id": str(self.id)}

    def end_poll(self) -> None:
        """End the message's poll; another message has the result."""
        if self.poll is None:
            raise ApiError(520006)
        if self.poll.ended:
            raise ApiError(520001)
        self.poll.ended = True
        result = self.channel.add_notice(POLL_RESULT, self.author, self.pointer())
        result.embeds = [self.poll.result_embed()]

    def seen_payload(self) -> Payload:
        """Return the message as the bot reads it; without the intent, most of others' content is hidden."""
        world, payload = self.channel.world, self.payload()
        mentioned = any(user["id"] == str(world.bot.id) for user in payload["mentions"])
        if self.author == world.bot or mentioned or world.application.reads_content:
            return payload
        hidden: Payload = {"content": "", "embeds": [], "components": [], "attachments": []}
        return {key: value for key, value in (payload | hidden).items() if key != "poll"}

    def created_payload(self) -> Payload:
        """Return the message as in the response to its sender, with the nonce."""
        return self.payload() | ({} if self.nonce is None else {"nonce": self.nonce})

    def _mentions_payload(self) -> Payload:
        members, text = self.channel.guild.members, self.mentioning_text
        users = [members[each].user for each in pinged_users(text, self.allowed_mentions) if each in members]
        return {
            "mentions": [user.payload() for user in users],
            "mention_roles": [str(role) for role in self.pinged_roles],
            "mention_everyone": pings_everyone(text, self.allowed_mentions),
        }

    def _extra_payload(self) -> Payload:
        extra: Payload = {}
        if self.poll is not None:
            extra["poll"] = self.poll.payload(self.channel.world.bot.id)
        if self.reference is not None:
            extra["message_reference"] = self.reference
        if self.thread is not None:
            extra["thread"] = self.thread.payload()
        if self.origin is not None:
            extra |= {"message_reference": self.origin.pointer(), "webhook_id": str(self.author.id)}
        if (start := self.started_from) is not None:
            there = start.id in start.channel.messages
            extra |= {"message_reference": start.pointer(), "referenced_message": start.payload() if there else None}
        if self.interaction is not None:
            application_id = str(self.channel.world.application.id)
            extra |= {"interaction_metadata": self.interaction, "webhook_id": application_id}
            extra["application_id"] = application_id
        return extra
