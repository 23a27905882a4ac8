"""A test environment for bots: a Discord, a clock and a database, which survive them."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import leaks
from discord_server import Channel, DiscordServer, Forum, Guild, Message, Thread, World
from weekbot.content.tracks import EVERYTHING
from weekbot.db.database import Database
from weekbot.domain.schedule import next_slot
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.store.subscriptions import Subscriptions

from .clock import POLL_SECONDS, SharedClock
from .fast_time import FastTime
from .ledger import Ledger

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src"
SLOT = datetime(
    2040, 1, 2, 9, tzinfo=UTC
)  # a Monday in the far future, so that a test fails if the bot uses the real time
STOP_SECONDS = 60
MAX_PAUSE_MINUTES = 2  # the longest pause between two attempts at a post
POST_MARK = "weekbot:more:"


@dataclass
class Bot:
    """A `weekbot run` process."""

    process: asyncio.subprocess.Process

    def kill(self) -> None:
        """Kill the process immediately."""
        with suppress(ProcessLookupError):
            self.process.kill()

    def memory(self) -> int:
        """Return the resident memory in KiB, which may include garbage."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def is_busy(self) -> bool:
        """Return whether any of its threads runs or waits for a processor."""
        states = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        with suppress(OSError):  # the process or the thread has ended
            return any(state.read_text().rpartition(") ")[2].startswith("R") for state in states)
        return False

    async def ended(self) -> int:
        return await self.process.wait()

    async def stop(self) -> int:
        """Send SIGTERM, wait for the process to end, and return its exit code.

        Raises TimeoutError if it doesn't end; the log then has the stacks of its threads.
        """
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self.ended()
        except TimeoutError:
            self.process.send_signal(signal.SIGABRT)
            await self.ended()
            raise


@dataclass
class Place:
    """A test environment whose clock is stopped two hours before `SLOT` until it is started."""

    folder: Path
    random: Random
    server: DiscordServer = field(repr=False)
    clock: SharedClock | FastTime
    database: Database
    database_url: str
    channels: list[Channel] = field(default_factory=list, repr=False)
    bots: list[Bot] = field(default_factory=list, repr=False)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.database)

    @property
    def log(self) -> str:
        """Return the log of all bots."""
        return (self.folder / "bots.log").read_text()

    def add_channels(self, guilds: int, channels: int) -> list[Guild]:
        """Add servers with that number of text channels each, and a system channel."""
        return [self._add_guild(f"Pythonistas {number}", channels) for number in range(guilds)]

    def _add_guild(self, name: str, channels: int) -> Guild:
        guild = self.server.add_guild(name)
        guild.system_channel = guild.add_text_channel("system")
        for number in range(channels):
            self.channels.append(guild.add_text_channel(f"weekly-{number}"))
        return guild

    async def subscribe(self, channels: Iterable[Channel], **options: bool) -> None:
        """Subscribe the channels to all topics from `SLOT` on."""
        chosen = Options(EVERYTHING, **options)  # type: ignore[arg-type]
        first = next_slot(chosen.weekly("UTC"), self.clock.now())
        assert first.instant == SLOT
        for channel in channels:
            new = Subscription(0, channel.guild.id, channel.id, chosen, "UTC", round=1, next_slot=first)
            new = replace(new, parent_id=channel.parent.id if isinstance(channel, Thread) else None)
            await Subscriptions(self.database).put(channel.guild.id, channel.id, partial(_replace_with, new))

    async def start(self, *arguments: str, **more: str) -> Bot:
        """Start a bot, optionally with more settings, and return before it is connected."""
        log = os.open(self.folder / "bots.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        program = "chaos.fast_bot" if isinstance(self.clock, FastTime) else "chaos.bot"
        command = (sys.executable, "-m", program, str(self.clock.path), *arguments)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env=self.environment(more), cwd=self.folder, stderr=log
            )
        finally:
            os.close(log)
        self.bots.append(Bot(process))
        return self.bots[-1]

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(SOURCE)]),
            "PYTHONFAULTHANDLER": "1",
            "WEEKBOT_LOG_LEVEL": "DEBUG",  # the tests search it for secrets
            "WEEKBOT_DISCORD_TOKEN": self.server.token,
            "WEEKBOT_DISCORD_API_URL": self.server.api_url,
            "WEEKBOT_DISCORD_GATEWAY_URL": self.server.gateway_url,
            "WEEKBOT_DATABASE_URL": self.database_url,
            **more,
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bot]:
        """Run a bot that is connected; stop it at the end."""
        bot = await self.start()
        try:
            await self.server.ready()
            yield bot
        except BaseException:
            bot.kill()
            await bot.ended()
            raise
        assert await bot.stop() == 0, self.log[-2000:]

    async def minutes(self, number: int) -> None:
        """Let minutes pass, each in a moment that is long enough for a bot to notice."""
        for _ in range(number):
            self.clock.advance(minutes=1)
            await asyncio.sleep(2 * POLL_SECONDS)

    async def command(self, *arguments: str) -> str:
        """Run a weekbot command that succeeds, and return its output."""
        command = (sys.executable, "-m", "weekbot", *arguments)
        process = await asyncio.create_subprocess_exec(
            *command, env=self.environment({}), cwd=self.folder, stdout=PIPE, stderr=STDOUT
        )
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0, output
        return output

    async def settled(self, slot: datetime = SLOT, seconds: float = 100) -> None:
        """Wait until the ledger has nothing left to do for a slot."""
        async with asyncio.timeout(seconds):
            while not await self.ledger.is_settled(slot):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.1)

    async def notices_sent(self, seconds: float = 100) -> None:
        """Wait until no notice is pending; an ambiguous one is repeated after a pause."""
        async with asyncio.timeout(seconds):
            while not await self.ledger.has_sent_notices():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.1)

    def posts(self, channel: Channel) -> list[Message]:
        """Return the weekly posts in a channel or a forum, the oldest first."""
        if isinstance(channel, Forum):
            threads = [thread for thread in channel.guild.threads.values() if thread.parent is channel]
            return [message for thread in threads for message in _posts(thread)]
        return _posts(channel)

    def post_counts(self, channels: Iterable[Channel] | None = None) -> set[int]:
        """Return the set of the channels' post counts; by default, of all channels."""
        return {len(self.posts(channel)) for channel in channels or self.channels}

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Stop Discord's server during the block."""
        await self.server.__aexit__(None, None, None)
        yield
        self.server = discord_at(self.server.world, self.server.port)
        await self.server.__aenter__()


def discord_at(world: World, port: int = 0) -> DiscordServer:
    server = DiscordServer(world, port=port)
    server.changes.timeout = 60
    return server


def _replace_with(new: Subscription, _: Subscription | None, __: str) -> Subscription:
    return new


def _posts(channel: Channel) -> list[Message]:
    return [message for message in channel.history() if any(each.startswith(POST_MARK) for each in message.custom_ids)]


@asynccontextmanager
async def place_in(
    folder: Path, random: Random, url: str, kind: type[SharedClock | FastTime] = SharedClock
) -> AsyncIterator[Place]:
    """Create an empty place with a database and a clock of that kind."""
    clock = kind.stopped(SLOT - timedelta(hours=2), folder / "clock")
    database = Database(url)
    await database.upgrade()
    place = Place(folder, random, discord_at(World(clock=clock.now)), clock, database, url)
    await place.server.__aenter__()
    try:
        yield place
        assert not place.server.unknown_requests
        leaks.require_none(place.log)
        assert not [line for line in place.log.splitlines() if "unexpected error" in line]
    finally:
        for bot in place.bots:  # left by a failed test
            bot.kill()
            await bot.ended()
        await place.server.__aexit__(None, None, None)
        await database.close()
