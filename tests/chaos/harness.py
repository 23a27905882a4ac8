"""A place where bots live and die: a Discord, a clock and a database, which outlive them."""

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

from .clock import GLANCE, SharedClock
from .fast_time import FastTime
from .ledger import Ledger

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src"
SLOT = datetime(2040, 1, 2, 9, tzinfo=UTC)  # a Monday; far off, so that nothing passes that looks at the real time
STOP_SECONDS = 60
LONGEST_PAUSE = 2  # minutes between two attempts at a post, at most
POST_MARK = "weekbot:more:"


@dataclass
class Bot:
    """`weekbot run`, as a process."""

    process: asyncio.subprocess.Process

    def kill(self) -> None:
        """Give it no time to do anything more."""
        with suppress(ProcessLookupError):
            self.process.kill()

    def memory(self) -> int:
        """In KiB, as it is now, after what is garbage was collected or not."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def works(self) -> bool:
        """Whether any of its threads runs, or waits for a processor."""
        states = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        with suppress(OSError):  # it, or the thread, has ended
            return any(state.read_text().rpartition(") ")[2].startswith("R") for state in states)
        return False

    async def ended(self) -> int:
        return await self.process.wait()

    async def stop(self) -> int:
        """Tell it to stop, and wait until it has; its exit code.

        Raises TimeoutError where it does not, and what its threads are at is in the log.
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
    """Time stands still there, two hours before `SLOT`, until the clock is started."""

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
        """What all bots have said."""
        return (self.folder / "bots.log").read_text()

    def furnish(self, guilds: int, channels: int) -> list[Guild]:
        """Add servers with as many text channels each, besides the system's."""
        return [self._furnished(f"Pythonistas {number}", channels) for number in range(guilds)]

    def _furnished(self, name: str, channels: int) -> Guild:
        guild = self.server.add_guild(name)
        guild.system_channel = guild.add_text_channel("system")
        for number in range(channels):
            self.channels.append(guild.add_text_channel(f"weekly-{number}"))
        return guild

    async def subscribe(self, channels: Iterable[Channel], **options: bool) -> None:
        """Subscribe channels to all topics, for `SLOT`, as their moderators would."""
        chosen = Options(EVERYTHING, **options)  # type: ignore[arg-type]
        first = next_slot(chosen.weekly("UTC"), self.clock.now())
        assert first.instant == SLOT
        for channel in channels:
            fresh = Subscription(0, channel.guild.id, channel.id, chosen, "UTC", round=1, next_slot=first)
            fresh = replace(fresh, parent_id=channel.parent.id if isinstance(channel, Thread) else None)
            await Subscriptions(self.database).put(channel.guild.id, channel.id, partial(_instead, fresh))

    async def start(self, *arguments: str, **more: str) -> Bot:
        """Start a bot, with more settings where given, which may not be connected yet."""
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
            "WEEKBOT_LOG_LEVEL": "DEBUG",  # it is searched for secrets
            "WEEKBOT_DISCORD_TOKEN": self.server.token,
            "WEEKBOT_DISCORD_API_URL": self.server.api_url,
            "WEEKBOT_DISCORD_GATEWAY_URL": self.server.gateway_url,
            "WEEKBOT_DATABASE_URL": self.database_url,
            **more,
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bot]:
        """A bot that is told to stop at the end, which it does by itself."""
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
            self.clock.let_pass(minutes=1)
            await asyncio.sleep(2 * GLANCE)

    async def command(self, *arguments: str) -> str:
        """Run another of weekbot's commands, which ends well; what it says."""
        command = (sys.executable, "-m", "weekbot", *arguments)
        process = await asyncio.create_subprocess_exec(
            *command, env=self.environment({}), cwd=self.folder, stdout=PIPE, stderr=STDOUT
        )
        said = (await process.communicate())[0].decode()
        assert process.returncode == 0, said
        return said

    async def settled(self, slot: datetime = SLOT, seconds: float = 100) -> None:
        """Wait until the ledger has nothing left to do for a slot."""
        async with asyncio.timeout(seconds):
            while not await self.ledger.is_settled(slot):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.1)

    async def told(self, seconds: float = 100) -> None:
        """Wait until no notice waits to be told; one whose outcome is unknown is told again after a pause."""
        async with asyncio.timeout(seconds):
            while not await self.ledger.has_told():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.1)

    def posts(self, channel: Channel) -> list[Message]:
        """The weekly posts in a channel or a forum, the oldest first."""
        if isinstance(channel, Forum):
            threads = [thread for thread in channel.guild.threads.values() if thread.parent is channel]
            return [message for thread in threads for message in _posts(thread)]
        return _posts(channel)

    def numbers_of_posts(self, channels: Iterable[Channel] | None = None) -> set[int]:
        """How many posts a channel has, of these or of all."""
        return {len(self.posts(channel)) for channel in channels or self.channels}

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Nobody answers at Discord's address, until the end of the block."""
        await self.server.__aexit__(None, None, None)
        yield
        self.server = discord_at(self.server.world, self.server.port)
        await self.server.__aenter__()


def discord_at(world: World, port: int = 0) -> DiscordServer:
    server = DiscordServer(world, port=port)
    server.changes.timeout = 60
    return server


def _instead(fresh: Subscription, _: Subscription | None, __: str) -> Subscription:
    return fresh


def _posts(channel: Channel) -> list[Message]:
    return [message for message in channel.history() if any(each.startswith(POST_MARK) for each in message.custom_ids)]


@asynccontextmanager
async def place_in(
    folder: Path, random: Random, url: str, kind: type[SharedClock | FastTime] = SharedClock
) -> AsyncIterator[Place]:
    """A place with nothing in it, and a database there; its clock is of that kind."""
    clock = kind.standing_at(SLOT - timedelta(hours=2), folder / "clock")
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
        for bot in place.bots:  # of a test that failed
            bot.kill()
            await bot.ended()
        await place.server.__aexit__(None, None, None)
        await database.close()
