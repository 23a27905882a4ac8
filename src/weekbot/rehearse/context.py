"""What the checks of a rehearsal share."""

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import discord

from weekbot.bot.cards import custom_ids
from weekbot.content.model import EVERYTHING, Topic
from weekbot.delivery.errors import PermanentError
from weekbot.discord_io.rest_client import RestClient
from weekbot.discord_io.sender import DiscordSender
from weekbot.discord_io.server_time import ServerClock
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.schedule import next_slot
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.rehearse.channels import ChannelAccess, Channels
from weekbot.rehearse.finding import NotTriedError
from weekbot.rehearse.requests import asked
from weekbot.rehearse.transcript import Exchange, Transcript
from weekbot.runtime.errors import WeekbotError, place_of

NO_OPTIONS: Final = Options(EVERYTHING)
A_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Posted:
    """A post as a ledger would have it, and the exchange that made it."""

    delivery: Delivery
    exchange: Exchange

    @property
    def id(self) -> int:
        """The message's, and in a forum the thread's."""
        return int(self.exchange.answer["id"])


@dataclass
class Context:
    """`run` is eight characters of [0-9a-z]; `original` is the topic that is posted, under another title.

    `reads_content` is whether Discord shows the bot what others write. `posts` has what was posted, by part.
    `published` and `kept` are ids of messages: those that were published, and those that somebody has to look at.
    `followed` is whether the rehearsal had the other channel follow.
    """

    client: RestClient
    sender: DiscordSender
    transcript: Transcript
    clock: ServerClock
    channels: Channels
    run: str
    original: Topic
    own_id: int
    reads_content: bool
    posts: dict[str, Posted] = field(default_factory=dict)
    poll_id: int | None = None
    published: set[int] = field(default_factory=set)
    kept: set[int] = field(default_factory=set)
    followed: bool = False

    @property
    def mark(self) -> str:
        """Part of all that the rehearsal writes, and of nothing else."""
        return f"Rehearsal {self.run}"

    @property
    def topic(self) -> Topic:
        return self.original.model_copy(update={"title": self.mark})

    @property
    def edited_topic(self) -> Topic:
        return self.original.model_copy(update={"title": f"{self.mark}, edited"})

    @property
    def channel_id(self) -> int:
        return self.channels.test.channel.id

    @property
    def channel(self) -> discord.PartialMessageable:
        return self.client.get_partial_messageable(self.channel_id, guild_id=self.channels.test.channel.guild.id)

    def delivery(self, number: int, access: ChannelAccess, options: Options = NO_OPTIONS) -> Delivery:
        """A delivery that is in no ledger."""
        now, channel = self.clock.now(), access.channel
        slot = next_slot(options.weekly("UTC"), now)
        subscription = Subscription(0, channel.guild.id, channel.id, options, "UTC", round=1, next_slot=slot)
        delivery_id = custom_ids.rehearsal_id(self.run, number)
        return Delivery(delivery_id, subscription, now, self.original.slug, 1, False, False, State.PENDING)

    async def ask(self, request: Awaitable[object]) -> Exchange:
        """The last exchange that it led to. Raises the errors of `outcomes`."""
        await asked(request)
        return self.transcript.exchanges[-1]

    async def ask_refusal(self, request: Awaitable[object]) -> Exchange:
        """The same, if Discord refuses it as well."""
        with suppress(PermanentError):
            await asked(request)
        return self.transcript.exchanges[-1]

    async def post(self, part: str, delivery: Delivery) -> Posted:
        """Send it as the bot does, or once more. Raises the errors of `outcomes`."""
        sent = await asked(self.sender.send(delivery, self.topic))
        as_sent = replace(
            delivery,
            state=State.SENT,
            message_id=sent.message_id,
            message_channel_id=sent.channel_id,
            version=sent.version,
            form=sent.form,
        )
        self.posts[part] = Posted(as_sent, self.transcript.exchanges[-1])
        return self.posts[part]

    def posted(self, *parts: str) -> Posted:
        """The first of these posts that is there. Raises NotTriedError."""
        for part in parts:
            if part in self.posts:
                return self.posts[part]
        raise NotTriedError(f"there is no post ({', '.join(parts)})")


def what_happened(error: Exception, exchanges: Sequence[Exchange]) -> str:
    """In a few words; the last of the exchanges is the one that failed."""
    if exchanges and exchanges[-1].status is not None and not exchanges[-1].ok:
        return f"Discord answered {exchanges[-1]}"
    if isinstance(error, WeekbotError):
        return str(error)
    return f"an answer has an unexpected form ({type(error).__name__} at {place_of(error)})"
