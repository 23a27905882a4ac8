"""The whole rehearsal: log in, find the venue, play each act, clean up."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from secrets import token_hex

from weekbot.bot import custom_ids
from weekbot.bot.client import RestClient, use_addresses
from weekbot.bot.post_cards import PostCards
from weekbot.clock import Clock
from weekbot.content.files import load_library
from weekbot.delivery.outcomes import NotSentError, OutcomeUnknownError, RefusedError
from weekbot.delivery.pacing import Pace
from weekbot.delivery.sender import DiscordSender
from weekbot.errors import WeekbotError
from weekbot.log import Blotter
from weekbot.rehearse.acts import ACTS, play
from weekbot.rehearse.asking import asked
from weekbot.rehearse.cleaning import CleanUp, Left
from weekbot.rehearse.finding import Finding, Result
from weekbot.rehearse.raw_file import RawFile, raw_file, usual_path
from weekbot.rehearse.script import Script, longest
from weekbot.rehearse.stage import Stage
from weekbot.rehearse.transcript import Transcript
from weekbot.rehearse.venue import Venue, find_venue
from weekbot.run import log_in, token_of
from weekbot.settings import Settings, content_directory

REQUESTS_PER_SECOND = 2.0  # what a bot that runs at the usual pace leaves of Discord's 50
JUST_BEFORE = timedelta(seconds=30)
FOR_CLEANING = ("manage_threads",)
FOR_FOLLOWING = ("manage_webhooks", "manage_messages")


DEVIATES = "Deviations from what weekbot relies on: {count}. Send {path} to its maintainers, with the lines above."

INTENT = "With the intent Message Content (developer portal, Bot) weekbot would have looked by itself."


class DeviationError(WeekbotError):
    """Discord did something else than weekbot relies on."""


class StoppedError(WeekbotError):
    """Stopped before the end; what was made until then is deleted, unless it is listed above."""


class NotLoggedInError(WeekbotError):
    """Nothing can be rehearsed without a log-in."""


@dataclass(frozen=True)
class Order:
    """What is to be rehearsed. `output` is the file for the raw answers, None for the usual name."""

    channel_id: int
    follower_id: int | None = None
    output: Path | None = None


@dataclass(frozen=True)
class Audience:
    """`report` is called with each finding, `tell` with each line besides."""

    report: Callable[[Finding], object]
    tell: Callable[[str], object]


async def rehearse(settings: Settings, order: Order, clock: Clock, audience: Audience) -> None:
    """Raises DeviationError if anything deviates, StoppedError when it is cancelled, and other WeekbotErrors."""
    token, topic = token_of(settings), longest(load_library(content_directory(settings)))
    script = Script(token_hex(4), topic)
    transcript = Transcript(clock)
    use_addresses(str(settings.discord_api_url), None)
    pace = Pace(min(REQUESTS_PER_SECOND, settings.requests_per_second))
    async with RestClient(pace, transcript.instrument) as client:
        await _log_in(client, token)
        venue = await find_venue(client, order.channel_id, order.follower_id)
        stage = _stage(client, transcript, clock, venue, script)
        path = order.output or usual_path(clock.now().date())
        with raw_file(path, Blotter(settings.secrets()), stage.own_id) as raw:
            transcript.write_to(raw.add_exchange)
            await _Rehearsal(stage, raw, audience).run()


async def _log_in(client: RestClient, token: str) -> None:
    try:
        await asked(log_in(client, token))
    except (NotSentError, OutcomeUnknownError, RefusedError) as error:
        how = "Check the network and WEEKBOT_DISCORD_API_URL"
        raise NotLoggedInError(f"weekbot cannot log in to Discord: {error}. {how}.") from error


def _stage(client: RestClient, transcript: Transcript, clock: Clock, venue: Venue, script: Script) -> Stage:
    sender = DiscordSender(client, PostCards(), custom_ids.rehearsed_or_delivered)
    flags = client.application.flags if client.application else None
    reads_content = bool(flags and (flags.gateway_message_content or flags.gateway_message_content_limited))
    own_id = client.user.id if client.user else 0
    return Stage(client, sender, transcript, clock, venue, script, own_id, reads_content)


class _Rehearsal:
    def __init__(self, stage: Stage, raw: RawFile, audience: Audience) -> None:
        self._stage = stage
        self._raw = raw
        self._audience = audience
        self._results = Counter[Result]()

    async def run(self) -> None:
        venue, tell = self._stage.venue, self._audience.tell
        tell(f"Rehearsing in {venue.test.name} of {venue.test.channel.guild.name}, as {self._stage.client.user}.")
        try:
            await self._play()
        except asyncio.CancelledError:
            raise StoppedError from None
        finally:
            await self._clean_up()
        if count := self._results[Result.DEVIATES]:
            raise DeviationError(DEVIATES.format(count=count, path=self._raw.path))

    async def _play(self) -> None:
        for act in ACTS:
            finding = await play(act, self._stage)
            self._results[finding.result] += 1
            self._raw.add_finding(finding)
            self._audience.report(finding)

    async def _clean_up(self) -> None:
        cleaning = CleanUp(self._stage, self._began())
        try:
            await cleaning.run()
        finally:
            self._sum_up(cleaning.left)

    def _began(self) -> datetime:
        """A moment before anything was posted, by Discord's time."""
        first = self._stage.transcript.exchanges[0]
        return parsedate_to_datetime(first.headers["date"]) - JUST_BEFORE

    def _sum_up(self, left: Sequence[Left]) -> None:
        tell = self._audience.tell
        tell(", ".join(f"{self._results[each]} {each}" for each in Result if self._results[each]) or "nothing tried")
        for missing in self._missing():
            tell(missing)
        if self._results[Result.LOOK]:
            tell(INTENT)
        tell("Left for you to delete:" if left else "Everything it made is deleted.")
        for each in left:
            tell(f"  {each.link}  {each.what} ({each.why})")
        tell(f"The raw answers are in {self._raw.path}, without secrets and without what others wrote.")

    def _missing(self) -> Iterator[str]:
        """A line for each channel in which the bot lacked permissions."""
        venue = self._stage.venue
        needed = dict.fromkeys([*(need for act in ACTS for need in act.needs), *FOR_CLEANING])
        for spot, permissions in ((venue.test, needed), (venue.forum, FOR_CLEANING), (venue.follower, FOR_FOLLOWING)):
            if spot and (lacking := spot.lacks(permissions)):
                yield f"Missing in {spot.name}: {', '.join(lacking)}."
