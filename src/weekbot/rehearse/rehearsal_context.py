"""The state that the checks of a rehearsal share."""

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import discord

from weekbot.bot.cards import custom_ids
from weekbot.content.model import Topic
from weekbot.content.tracks import EVERYTHING
from weekbot.discord_io.rest_client import RestClient
from weekbot.discord_io.sender import DiscordSender
from weekbot.discord_io.server_time import ServerClock
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.schedule import next_slot
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.rehearse.check_result import Result, expect
from weekbot.rehearse.rehearsal_channels import ChannelAccess, Channels
from weekbot.rehearse.transcript import Exchange, Transcript, with_deadline
from weekbot.runtime.errors import WeekbotError, raised_at

NO_OPTIONS = Options(EVERYTHING)
A_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Posted:
    """A post as a ledger would have it, and the exchange that made it."""

    delivery: Delivery
    exchange: Exchange

    @property
    def id(self) -> int:
        return int(self.exchange.answer["id"])


@dataclass
class RehearsalContext:
    client: RestClient
    sender: DiscordSender
    transcript: Transcript
    clock: ServerClock
    channels: Channels
    run: str  # eight characters of [0-9a-z]
    original: Topic  # posted under another title
    posts: dict[str, Posted] = field(default_factory=dict)  # by part
    poll_id: int | None = None
    published: set[int] = field(default_factory=set)  # ids of messages
    kept: set[int] = field(default_factory=set)  # ids of messages that a person has to look at
    followed: bool = False  # the rehearsal made the other channel follow

    @property
    def mark(self) -> str:
        """A text that is part of everything the rehearsal writes, and of nothing else."""
        return f"Rehearsal {self.run}"

    def topic(self, suffix: str = "") -> Topic:
        return self.original.model_copy(update={"title": f"{self.mark}{suffix}"})

    @property
    def own_id(self) -> int:
        return self.client.user.id if self.client.user else 0

    @property
    def channel_id(self) -> int:
        return self.channels.test.channel.id

    @property
    def channel(self) -> discord.PartialMessageable:
        return self.client.get_partial_messageable(self.channel_id, guild_id=self.channels.test.channel.guild.id)

    def delivery(self, number: int, access: ChannelAccess, options: Options = NO_OPTIONS) -> Delivery:
        now, channel = self.clock.now(), access.channel
        slot = next_slot(options.weekly("UTC"), now)
        subscription = Subscription(0, channel.guild.id, channel.id, options, "UTC", round=1, next_slot=slot)
        delivery_id = custom_ids.rehearsal_id(self.run, number)
        return Delivery(delivery_id, subscription, now, self.original.slug, 1, False, False, State.PENDING)

    async def ask(self, request: Awaitable[object], *expected: type[WeekbotError]) -> Exchange:
        """Make the request, and return its last exchange. Raises delivery errors, except the expected ones."""
        with suppress(*expected):
            await with_deadline(request)
        return self.transcript.exchanges[-1]

    async def post(self, part: str, delivery: Delivery) -> Posted:
        """Send the delivery as the bot does, for the first time or again. Raises delivery errors."""
        sent = await with_deadline(self.sender.send(delivery, self.topic()))
        shown = replace(delivery, state=State.SENT, version=sent.version, form=sent.form)
        as_sent = replace(shown, message_id=sent.message_id, message_channel_id=sent.channel_id)
        self.posts[part] = Posted(as_sent, self.transcript.exchanges[-1])
        return self.posts[part]

    def posted(self, *parts: str) -> Posted:
        """Return the post of the first part that has one. Raises CheckError."""
        found = next((self.posts[part] for part in parts if part in self.posts), None)
        return expect(found, f"there is no post ({', '.join(parts)})", Result.NOT_TRIED)

    def describe(self, error: Exception, started: int) -> str:
        """Describe a failure; the exchanges are numbered, and those from `started` on led to it."""
        exchanges = self.transcript.exchanges[started:]
        if exchanges and exchanges[-1].status is not None and not exchanges[-1].ok:
            return f"Discord answered {exchanges[-1]}"
        if isinstance(error, WeekbotError):
            return str(error)
        return f"an answer has an unexpected form ({type(error).__name__} at {raised_at(error)})"
