"""What the acts of a rehearsal share."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import discord

from weekbot.bot.client import RestClient
from weekbot.clock import Clock
from weekbot.delivery.sender import DiscordSender
from weekbot.errors import WeekbotError, place_of
from weekbot.rehearse.asking import asked
from weekbot.rehearse.exchange import Exchange
from weekbot.rehearse.script import Script, sent_as
from weekbot.rehearse.transcript import Transcript
from weekbot.rehearse.venue import Venue
from weekbot.store.delivery import Delivery


class NothingToTryError(WeekbotError):
    """What the act needs is not there."""


@dataclass
class Stage:
    """`posts` has what was posted, by part. `own_id` is the bot's.

    `reads_content` is whether Discord shows the bot what others write, `followed` whether the bot had the other channel
    follow. `kept` are the ids of the messages that somebody has to look at.
    """

    client: RestClient
    sender: DiscordSender
    transcript: Transcript
    clock: Clock
    venue: Venue
    script: Script
    own_id: int
    reads_content: bool
    posts: dict[str, Delivery] = field(default_factory=dict)
    followed: bool = False
    kept: set[int] = field(default_factory=set)

    @property
    def channel_id(self) -> int:
        return self.venue.test.channel.id

    @property
    def channel(self) -> discord.PartialMessageable:
        return self.client.get_partial_messageable(self.channel_id, guild_id=self.venue.test.channel.guild.id)

    async def post(self, part: str, delivery: Delivery) -> Delivery:
        """Send it as the bot does, or once more. Raises the errors of `outcomes`."""
        sent = await asked(self.sender.send(delivery, self.script.topic))
        self.posts[part] = sent_as(delivery, sent)
        return self.posts[part]

    def posted(self, *parts: str) -> Delivery:
        """The first of these posts that is there. Raises NothingToTryError."""
        for part in parts:
            if part in self.posts:
                return self.posts[part]
        raise NothingToTryError(f"there is no post ({', '.join(parts)})")


def message_id_of(delivery: Delivery) -> int:
    """Raises NothingToTryError if it was not posted."""
    if delivery.message_id is None:
        raise NothingToTryError("there is no post")
    return delivery.message_id


def what_happened(error: Exception, exchanges: Sequence[Exchange]) -> str:
    """In a few words; the last of the exchanges is the one that failed."""
    if exchanges and exchanges[-1].status is not None and not exchanges[-1].ok:
        return f"Discord answered {exchanges[-1]}"
    if isinstance(error, WeekbotError):
        return str(error)
    return f"an answer has an unexpected form ({type(error).__name__} at {place_of(error)})"
