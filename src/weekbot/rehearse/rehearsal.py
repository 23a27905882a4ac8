"""The whole rehearsal: log in, find the channels, make each check, clean up."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex

from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.bot.cards.topic_cards import post_embed
from weekbot.content.library import Library
from weekbot.content.loading.folder import load_library
from weekbot.content.model import Topic
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.discord_io.login import log_in, require_token
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rest_client import RestClient, use_addresses
from weekbot.discord_io.sender import DiscordSender
from weekbot.discord_io.server_time import ServerClock
from weekbot.i18n.language import ENGLISH
from weekbot.rehearse.channels import Channels, find_channels
from weekbot.rehearse.checks import CHECKS
from weekbot.rehearse.cleanup import CleanUp, Left
from weekbot.rehearse.context import Context
from weekbot.rehearse.finding import Finding, Result
from weekbot.rehearse.raw_file import RawFile, raw_file, usual_path
from weekbot.rehearse.requests import asked
from weekbot.rehearse.transcript import Transcript
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.log import Blotter
from weekbot.settings import Settings, content_directory

REQUESTS_PER_SECOND = 2.0  # what a bot that runs at the usual pace leaves of Discord's 50
JUST_BEFORE = timedelta(seconds=30)
FOR_CLEANING = ("manage_threads",)
FOR_FOLLOWING = ("manage_webhooks", "manage_messages")
DEVIATES = "Deviations from what weekbot relies on: {count}. Send {path} to its maintainers, with the lines above."
UNCONFIRMED = (
    "Not confirmed: {count}. Give weekbot the missing permissions, or look where it asks you to, as listed above."
)
INTENT = "With the intent Message Content (developer portal, Bot) weekbot would have looked by itself."
CHECK_NETWORK = "Check the network and WEEKBOT_DISCORD_API_URL"

Show = Callable[[Finding | str], object]
"""Called with each finding, and with each line besides."""


class DeviationError(WeekbotError):
    """Discord did something else than weekbot relies on."""


class UnconfirmedError(WeekbotError):
    """Nothing deviates, but not everything could be confirmed."""


class StoppedError(WeekbotError):
    """Stopped before the end; what was made until then is deleted, unless it is listed above."""


class NotLoggedInError(WeekbotError):
    """Nothing can be rehearsed without a log-in."""


@dataclass(frozen=True)
class Request:
    """What to rehearse where. `output` is the file for the raw answers, None for the usual name."""

    channel_id: int
    follower_id: int | None = None
    output: Path | None = None


async def rehearse(settings: Settings, request: Request, clock: Clock, show: Show) -> None:
    """Raises DeviationError, UnconfirmedError, StoppedError when it is cancelled, and other WeekbotErrors."""
    token, topic = require_token(settings.discord_token), longest(load_library(content_directory(settings)))
    discord_time = ServerClock(clock)
    transcript = Transcript(discord_time)
    use_addresses(str(settings.discord_api_url), None)
    pace = RateLimiter(min(REQUESTS_PER_SECOND, settings.requests_per_second))
    async with RestClient(pace, transcript.instrument) as client:
        await _log_in(client, token)
        channels = await find_channels(client, request.channel_id, request.follower_id)
        context = _context(client, transcript, discord_time, channels, topic)
        path = request.output or usual_path(clock.now().date())
        with raw_file(path, Blotter(settings.secrets()), context.own_id) as raw:
            for exchange in transcript.exchanges:
                raw.add_exchange(exchange)
            transcript.write = raw.add_exchange
            await _Rehearsal(context, raw, show).run()


def longest(library: Library) -> Topic:
    """The topic whose post comes nearest to Discord's limits."""
    return max(library.topics.values(), key=lambda topic: len(post_embed(ENGLISH, topic)))


async def _log_in(client: RestClient, token: str) -> None:
    try:
        await asked(log_in(client, token))
    except (RetryableError, AmbiguousError, PermanentError) as error:
        raise NotLoggedInError(f"weekbot cannot log in to Discord: {error}. {CHECK_NETWORK}.") from error


def _context(
    client: RestClient, transcript: Transcript, clock: ServerClock, channels: Channels, topic: Topic
) -> Context:
    sender = DiscordSender(client, RenderedPosts(), custom_ids.rehearsed_or_delivered)
    flags = client.application.flags if client.application else None
    reads_content = bool(flags and (flags.gateway_message_content or flags.gateway_message_content_limited))
    own_id = client.user.id if client.user else 0
    return Context(client, sender, transcript, clock, channels, token_hex(4), topic, own_id, reads_content)


class _Rehearsal:
    def __init__(self, context: Context, raw: RawFile, show: Show) -> None:
        self._context = context
        self._raw = raw
        self._show = show
        self._results = Counter[Result]()

    async def run(self) -> None:
        test = self._context.channels.test
        self._show(f"Rehearsing in {test.name} of {test.channel.guild.name}, as {self._context.client.user}.")
        began = self._context.clock.now() - JUST_BEFORE
        try:
            for check in CHECKS:
                self._add(await check.finding(self._context))
        except asyncio.CancelledError:
            raise StoppedError from None
        finally:
            await self._clean_up(began)
        if count := self._results[Result.DEVIATES]:
            raise DeviationError(DEVIATES.format(count=count, path=self._raw.path))
        if count := self._results[Result.NOT_TRIED] + self._results[Result.LOOK]:
            raise UnconfirmedError(UNCONFIRMED.format(count=count))

    def _add(self, finding: Finding) -> None:
        self._results[finding.result] += 1
        self._raw.add_finding(finding)
        self._show(finding)

    async def _clean_up(self, began: datetime) -> None:
        cleaning = CleanUp(self._context, began)
        try:
            await cleaning.run()
        finally:
            for line in self._summary(cleaning.left):
                self._show(line)

    def _summary(self, left: list[Left]) -> Iterator[str]:
        yield ", ".join(f"{each}: {self._results[each]}" for each in Result if self._results[each])
        yield from self._missing()
        if self._results[Result.LOOK]:
            yield INTENT
        yield "Left for you to delete:" if left else "Everything it made is deleted."
        yield from (f"  {each.link}  {each.what} ({each.why})" for each in left)
        yield f"The raw answers are in {self._raw.path}, without secrets and without what others wrote."

    def _missing(self) -> Iterator[str]:
        """A line for each channel in which the bot lacked permissions."""
        channels = self._context.channels
        needed = dict.fromkeys([*(need for check in CHECKS for need in check.needs), *FOR_CLEANING])
        in_each = ((channels.test, needed), (channels.forum, FOR_CLEANING), (channels.follower, FOR_FOLLOWING))
        for access, permissions in in_each:
            if access and (lacking := access.lacks(permissions)):
                yield f"Missing in {access.name}: {', '.join(lacking)}."
