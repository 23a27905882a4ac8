"""Channels that follow an announcement channel and repeat what is published there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .message import Flag, Message
from .payload import Payload
from .user import User

if TYPE_CHECKING:
    from .channel import Channel


@dataclass(frozen=True)
class Follower:
    """A channel, and the webhook through which it is told."""

    channel: Channel
    webhook: User

    def repeat(self, origin: Message) -> None:
        """Post a published message here too."""
        copy = Message(self.channel.world.snowflakes.next(), self.channel, self.webhook, origin=origin)
        copy.flags |= Flag.IS_CROSSPOST
        copy.take_over(origin)
        self.channel.add(copy)
        origin.crossposts.append(copy)

    def webhook_payload(self, source: Channel) -> Payload:
        """Return it as the list of the channel's webhooks has it."""
        return {
            "id": str(self.webhook.id),
            "type": 2,
            "application_id": None,
            "avatar": None,
            "name": self.webhook.name,
            "channel_id": str(self.channel.id),
            "guild_id": str(self.channel.guild.id),
            "source_guild": {"id": str(source.guild.id), "name": source.guild.name, "icon": None},
            "source_channel": {"id": str(source.id), "name": source.name},
        }

    def payload(self, source: Channel) -> Payload:
        """Return what who asked to follow is answered."""
        return {"channel_id": str(source.id), "webhook_id": str(self.webhook.id)}
