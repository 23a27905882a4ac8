"""Interactions of members, and the bot's responses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING

from .attachment import NO_UPLOADS, Uploads
from .error import ApiError
from .message import NO_FLAGS, Flag, Message
from .payload import Payload
from .snowflake import moment

if TYPE_CHECKING:
    from .channel import Channel
    from .user import Member

CHAT_INPUT_COMMAND_MESSAGE = 20
ATTACHMENT_LIMIT = 10 * 1024 * 1024

TIME_TO_ACKNOWLEDGE = timedelta(seconds=3)
TOKEN_LIFE = timedelta(minutes=15)


class InteractionKind(IntEnum):
    """Discord's interaction types."""

    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL = 5


class CallbackKind(IntEnum):
    """The types of the bot's first response."""

    MESSAGE = 4
    DEFERRED_MESSAGE = 5
    DEFERRED_UPDATE = 6
    UPDATE = 7
    CHOICES = 8
    MODAL = 9


DEFERRED = (CallbackKind.DEFERRED_MESSAGE, CallbackKind.DEFERRED_UPDATE)
WITH_RESOURCE = (CallbackKind.MESSAGE, CallbackKind.UPDATE)


@dataclass(eq=False)
class Interaction:
    """An interaction and its responses so far."""

    id: int
    token: str
    kind: InteractionKind
    channel: Channel
    member: Member
    message: Message | None = None
    callback: Payload | None = None
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    settled: bool = False
    expired: bool = False
    event: Payload = field(default_factory=dict)

    @property
    def age(self) -> timedelta:
        """Return the time since the interaction, or more if it was made to expire."""
        age = self.channel.world.clock() - moment(self.id)
        return age + 2 * TOKEN_LIFE if self.expired else age

    def expire(self) -> None:
        """Make it too late for any response."""
        self.expired = True

    def acknowledge_elsewhere(self) -> None:
        """Simulate a first response by another program with the bot's token."""
        self.acknowledge({"type": int(CallbackKind.DEFERRED_MESSAGE)})

    @property
    def acknowledged(self) -> CallbackKind | None:
        """Return the type of the first response."""
        return None if self.callback is None else CallbackKind(self.callback["type"])

    @property
    def answered(self) -> bool:
        """Return whether the member has got a response other than a deferral."""
        return self.settled or (self.callback is not None and self.acknowledged not in DEFERRED)

    @property
    def answer(self) -> Message | None:
        """Return the response message that the member sees."""
        untouched = self.acknowledged is CallbackKind.DEFERRED_UPDATE and bool(self.followups)
        return self.followups[-1] if untouched else self.original

    @property
    def text(self) -> str:
        """Return the response's text."""
        return self.answer.text if self.answer else ""

    @property
    def ephemeral(self) -> bool:
        """Return whether only the member sees the response."""
        return self.answer is not None and self.answer.ephemeral

    @property
    def choices(self) -> list[Payload]:
        """Return the choices of autocomplete."""
        data: Payload = (self.callback or {}).get("data") or {}
        return list(data.get("choices") or [])

    def acknowledge(self, body: Payload, uploads: Uploads = NO_UPLOADS) -> None:
        """Accept the bot's first response."""
        if self.age > TIME_TO_ACKNOWLEDGE:
            raise ApiError(10062)
        if self.callback is not None:
            raise ApiError(40060)
        kind, data = CallbackKind(body["type"]), body.get("data") or {}
        if kind is CallbackKind.MESSAGE:
            self.original = self._post(data, uploads)
        elif kind is CallbackKind.DEFERRED_MESSAGE:
            self.original = self._post(data, loading=True)
        elif kind in (CallbackKind.DEFERRED_UPDATE, CallbackKind.UPDATE):
            self.original = self._updated(kind, data, uploads)
        self.callback = body

    def _updated(self, kind: CallbackKind, data: Payload, uploads: Uploads) -> Message:
        if self.message is None:
            raise ApiError(50035)
        if kind is CallbackKind.UPDATE:
            self.message.edit(data, uploads)
        return self.message

    def follow_up(self, body: Payload, uploads: Uploads = NO_UPLOADS) -> Message:
        """Accept a follow-up message; the first one after a deferral replaces the loading message."""
        if self.callback is None:
            raise ApiError(10015)
        self.settled = True
        if self.original is not None and Flag.LOADING in self.original.flags:
            self._fill(self.original, body, uploads)
            return self.original
        message = self._post(body, uploads)
        self.followups.append(message)
        return message

    def edit(self, message: Message, body: Payload, uploads: Uploads = NO_UPLOADS) -> None:
        """Edit a response."""
        if Flag.LOADING in message.flags:
            self._fill(message, body, uploads)
        else:
            message.edit(body, uploads)
        self.settled = True

    def delete(self, message: Message) -> None:
        """Delete a response."""
        if message.id in self.channel.messages:
            self.channel.remove(message)
        self.followups = [each for each in self.followups if each is not message]
        self.original = None if self.original is message else self.original
        self.settled = True

    def find(self, reference: str) -> Message:
        """Return a response by its ID, or the first one by @original."""
        own = [self.original] if reference == "@original" else [self.original, *self.followups]
        for message in own:
            if message is not None and reference in ("@original", str(message.id)):
                return message
        raise ApiError(10008)

    def _fill(self, message: Message, body: Payload, uploads: Uploads) -> None:
        # A deferral determines whether the response is private.
        message.write(body | {"flags": int(body.get("flags") or 0) & ~Flag.EPHEMERAL}, uploads)
        message.flags &= ~Flag.LOADING

    def _post(self, body: Payload, uploads: Uploads = NO_UPLOADS, *, loading: bool = False) -> Message:
        channel = self.channel
        message = Message(channel.world.snowflakes.next(), channel, channel.world.bot, CHAT_INPUT_COMMAND_MESSAGE)
        message.write(body, uploads)
        message.flags |= Flag.LOADING if loading else NO_FLAGS
        if message.empty and not loading:
            raise ApiError(50006)
        message.interaction = self._metadata()
        channel.add(message)
        return message

    @property
    def owners(self) -> Payload:
        """Return for whom the application is installed: the guild (0), or only the member (1)."""
        guild = self.channel.guild
        return {"0": str(guild.id)} if guild.joined else {"1": str(self.member.id)}

    def _metadata(self) -> Payload:
        return {
            "id": str(self.id),
            "type": int(self.kind),
            "user": self.member.user.payload(),
            "authorizing_integration_owners": self.owners,
            **({"interacted_message_id": str(self.message.id)} if self.message else {}),
            **({"triggering_interaction_metadata": self._trigger()} if self.kind is InteractionKind.MODAL else {}),
        }

    def _trigger(self) -> Payload:
        """Return the command that opened the form."""
        owners = {"authorizing_integration_owners": self.owners}
        return {"id": str(self.id), "type": int(InteractionKind.COMMAND), "user": self.member.user.payload(), **owners}

    def payload(self, data: Payload, member_permissions: int | None) -> Payload:
        """Return the interaction as in INTERACTION_CREATE."""
        guild, channel = self.channel.guild, self.channel
        may = guild.permissions_of(self.member, channel) if member_permissions is None else member_permissions
        permissions = {"permissions": str(int(may))}
        return {
            "id": str(self.id),
            "application_id": str(channel.world.application.id),
            "type": int(self.kind),
            "data": data,
            "guild_id": str(guild.id),
            "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
            "channel_id": str(channel.id),
            "channel": channel.payload() | permissions,
            "member": self.member.full_payload() | permissions,
            "token": self.token,
            "version": 1,
            "app_permissions": str(int(guild.bot_permissions(channel))),
            "locale": self.member.user.locale,
            "guild_locale": guild.locale,
            "entitlements": [],
            "authorizing_integration_owners": self.owners,
            "context": 0,
            "attachment_size_limit": ATTACHMENT_LIMIT,
            **({"message": self.message.payload()} if self.message else {}),
        }

    def callback_payload(self) -> Payload:
        """Return the reply to a callback with `with_response`."""
        summary: Payload = {"id": str(self.id), "type": int(self.kind)}
        if self.original is not None:
            summary |= {
                "response_message_id": str(self.original.id),
                "response_message_loading": Flag.LOADING in self.original.flags,
                "response_message_ephemeral": self.original.ephemeral,
            }
        if self.original is None or self.acknowledged not in WITH_RESOURCE:
            return {"interaction": summary}
        resource = {"type": int(self.acknowledged), "message": self.original.payload()}
        return {"interaction": summary, "resource": resource}
