"""Channels that follow an announcement channel and get its published messages."""

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
    """A channel, and the webhook that posts in it."""

    channel: Channel
    webhook: User

    def repeat(self, origin: Message) -> None:
        """Post a copy of a published message."""
        copy = Message(self.channel.world.snowflakes.next(), self.channel, self.webhook, origin=origin)
        copy.flags |= Flag.IS_CROSSPOST
        copy.take_over(origin)
        self.channel.add(copy)
        origin.crossposts.append(copy)

    def webhook_payload(self, source: Channel) -> Payload:
        """Return the webhook as in the channel's list of webhooks."""
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
        """Return the response to the request to follow."""
        return {"channel_id": str(source.id), "webhook_id": str(self.webhook.id)}
