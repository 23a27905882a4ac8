"""The whole rehearsal: log in, find the channels, run each check, clean up."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex

from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.bot.cards.topic_cards import post_embed
from weekbot.content.loading.folder import load_library
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.discord_io.login import log_in, require_token
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rest_client import RestClient, use_addresses
from weekbot.discord_io.sender import DiscordSender
from weekbot.discord_io.server_time import ServerClock
from weekbot.i18n.language import ENGLISH
from weekbot.rehearse import checks
from weekbot.rehearse.check_result import CheckError, CheckResult, Result
from weekbot.rehearse.cleanup import Cleanup
from weekbot.rehearse.raw_file import RawFile, raw_file, usual_path
from weekbot.rehearse.rehearsal_channels import find_channels
from weekbot.rehearse.rehearsal_context import RehearsalContext
from weekbot.rehearse.transcript import Transcript, with_deadline
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.log import Redactor
from weekbot.settings import Settings, content_directory

REQUESTS_PER_SECOND = 2.0  # the rest of Discord's 50, beside a bot that runs at the default rate
JUST_BEFORE = timedelta(seconds=30)
FOR_CLEANUP = ("manage_threads",)
FOR_FOLLOWING = ("manage_webhooks", "manage_messages")
DEVIATES = "Deviations from what weekbot relies on: {count}. Send {path} to its maintainers, with the lines above."
UNCONFIRMED = (
    "Not confirmed: {count}. Give weekbot the missing permissions, or look where it asks you to, as listed above."
)
INTENT = "With the Message Content intent (developer portal, Bot), weekbot could have checked this itself."

HISTORY = "read_message_history"
THREADS = ("create_public_threads", "send_messages_in_threads", HISTORY)

Show = Callable[[CheckResult | str], object]  # called with each result, and with each other line


class DeviationError(WeekbotError):
    """Discord behaves differently than weekbot relies on."""


class StoppedError(WeekbotError):
    """Stopped before the end; everything made so far is deleted, unless it is listed above."""


@dataclass(frozen=True)
class RehearsalCheck:
    """`needs` are the permissions in the test channel without which the check is not tried."""

    part: str
    perform: Callable[[RehearsalContext], Awaitable[str]]
    needs: tuple[str, ...] = ()

    async def run(self, context: RehearsalContext) -> CheckResult:
        """Turn every Exception into a result."""
        started, context.transcript.part = len(context.transcript.exchanges), self.part
        try:
            context.channels.test.require(self.needs)
            return CheckResult(self.part, Result.AS_EXPECTED, await self.perform(context))
        except CheckError as error:
            return CheckResult(self.part, error.result, str(error))
        except Exception as error:
            return CheckResult(self.part, Result.DEVIATES, context.describe(error, started))
        finally:
            context.transcript.part = None


CHECKS = (
    RehearsalCheck("clock", checks.clock),
    RehearsalCheck(checks.CARD, checks.card),
    RehearsalCheck("limits", checks.limits),
    RehearsalCheck("nonce", checks.nonce),
    RehearsalCheck(checks.EMBED, checks.embed, ("embed_links",)),
    RehearsalCheck("ping", checks.ping),
    RehearsalCheck("custom ids", checks.history_custom_ids, (HISTORY,)),
    RehearsalCheck("look-up", checks.look_up, (HISTORY,)),
    RehearsalCheck("thread", checks.thread, THREADS),
    RehearsalCheck("pin", checks.pin, ("pin_messages", HISTORY)),
    RehearsalCheck("following", checks.follow),
    RehearsalCheck("publication", checks.publish),
    RehearsalCheck("follower", checks.follower),
    RehearsalCheck("card copy", checks.card_copy),
    RehearsalCheck("card edit", partial(checks.edit, part=checks.CARD)),
    RehearsalCheck("embed edit", partial(checks.edit, part=checks.EMBED)),
    RehearsalCheck("poll", checks.poll, ("create_polls", HISTORY)),
    RehearsalCheck("poll end", checks.poll_end, ("create_polls", HISTORY)),
    RehearsalCheck("forum", checks.forum),
    RehearsalCheck("deleted", checks.deleted),
    RehearsalCheck("no channel", checks.no_channel),
    RehearsalCheck("no content", checks.no_content),
)


@dataclass(frozen=True)
class Request:
    channel_id: int
    follower_id: int | None = None
    output: Path | None = None  # default: the usual name


async def rehearse(settings: Settings, request: Request, clock: Clock, show: Show) -> None:
    """Raises DeviationError, StoppedError on cancellation, and other WeekbotErrors."""
    token = require_token(settings.discord_token)
    topics = load_library(content_directory(settings)).topics.values()
    longest = max(topics, key=lambda topic: len(post_embed(ENGLISH, topic)))  # the nearest to Discord's limits
    discord_time = ServerClock(clock)
    transcript = Transcript(discord_time)
    use_addresses(str(settings.discord_api_url), None)
    rate_limiter = RateLimiter(min(REQUESTS_PER_SECOND, settings.requests_per_second))
    async with RestClient(rate_limiter, transcript.instrument) as client:
        await _log_in(client, token)
        channels = await find_channels(client, request.channel_id, request.follower_id)
        sender = DiscordSender(client, RenderedPosts(), custom_ids.rehearsed_or_delivered)
        context = RehearsalContext(client, sender, transcript, discord_time, channels, token_hex(4), longest)
        path = request.output or usual_path(clock.now().date())
        with raw_file(path, Redactor(settings.secrets()), context.own_id) as raw:
            for exchange in transcript.exchanges:
                raw.add_exchange(exchange)
            transcript.write = raw.add_exchange
            await _Rehearsal(context, raw, show).run()


async def _log_in(client: RestClient, token: str) -> None:
    try:
        await with_deadline(log_in(client, token))
    except (RetryableError, AmbiguousError, PermanentError) as error:
        remedy = "Check the network and WEEKBOT_DISCORD_API_URL"
        raise WeekbotError(f"weekbot cannot log in to Discord: {error}. {remedy}.") from error


@dataclass
class _Rehearsal:
    context: RehearsalContext
    raw: RawFile
    show: Show
    results: Counter[Result] = field(default_factory=Counter)

    async def run(self) -> None:
        test = self.context.channels.test
        self.show(f"Rehearsing in {test.name} of {test.channel.guild.name}, as {self.context.client.user}.")
        began = self.context.clock.now() - JUST_BEFORE
        try:
            for check in CHECKS:
                result = await check.run(self.context)
                self.results[result.result] += 1
                self.raw.write(asdict(result))
                self.show(result)
        except asyncio.CancelledError:
            raise StoppedError from None
        finally:
            await self._clean_up(began)
        if count := self.results[Result.DEVIATES]:
            raise DeviationError(DEVIATES.format(count=count, path=self.raw.path))
        if count := self.results[Result.NOT_TRIED] + self.results[Result.LOOK]:
            raise WeekbotError(UNCONFIRMED.format(count=count))

    async def _clean_up(self, began: datetime) -> None:
        cleanup = Cleanup(self.context, began)
        try:
            await cleanup.run()
        finally:
            for line in self._summary(cleanup.left):
                self.show(line)

    def _summary(self, left: list[str]) -> Iterator[str]:
        yield ", ".join(f"{each}: {self.results[each]}" for each in Result if self.results[each])
        yield from self._missing()
        if self.results[Result.LOOK]:
            yield INTENT
        yield "Left for you to delete:" if left else "Everything it made is deleted."
        yield from (f"  {line}" for line in left)
        yield f"The raw answers are in {self.raw.path}, without secrets and without what others wrote."

    def _missing(self) -> Iterator[str]:
        channels = self.context.channels
        needed = dict.fromkeys([*(need for check in CHECKS for need in check.needs), *FOR_CLEANUP])
        in_each = ((channels.test, needed), (channels.forum, FOR_CLEANUP), (channels.follower, FOR_FOLLOWING))
        for access, permissions in in_each:
            if access and (lacking := access.lacks(permissions)):
                yield f"Missing in {access.name}: {', '.join(lacking)}."
