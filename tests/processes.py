"""Bots as processes, and the environment that outlives them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from discord_server import Channel, DiscordServer, Guild
from discord_server.thread import Thread
from weekbot.content.tracks import EVERYTHING
from weekbot.db.database import Database
from weekbot.domain.schedule import next_slot
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.store.subscriptions import Subscriptions

STOP_SECONDS = 60  # three times the limit
RUN_AT = Path(__file__).with_name("run_at.py")


@dataclass
class Place:
    """A Discord with one server, and a folder that keeps the bot's database between two runs."""

    server: DiscordServer
    guild: Guild
    folder: Path
    more: dict[str, str] = field(default_factory=dict)
    program: Path = RUN_AT
    most_descriptors: int | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONFAULTHANDLER": "1",
            "WEEKBOT_LOG_LEVEL": "DEBUG",  # searched for secrets
            "WEEKBOT_DISCORD_TOKEN": self.server.token,
            "WEEKBOT_DISCORD_API_URL": self.server.api_url,
            "WEEKBOT_DISCORD_GATEWAY_URL": self.server.gateway_url,
            "WEEKBOT_DATABASE_URL": f"sqlite:///{self.folder / 'weekbot.db'}",
            **self.more,
        }

    @asynccontextmanager
    async def running(
        self, at: datetime | None = None, *, registered: bool = True
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the bot with its clock at that instant, and stop it with SIGTERM at the end.

        The block begins when its commands are `registered`, unless it can't register them.
        """
        bot = await self.start(sys.executable, str(self.program), self.at(at or datetime.now(UTC)))
        try:
            await self.server.ready()
            if registered:
                await self.server.until(lambda: self.server.world.commands.of(0), "registered commands")
            yield bot
        finally:
            errors = await self._stopped(bot)
        assert bot.returncode == 0, errors
        assert "Traceback" not in errors, errors

    def at(self, instant: datetime) -> str:
        """Set Discord's clock to that instant, and return by how many seconds a bot's clock has to be ahead."""
        ahead = instant - datetime.now(UTC)
        self.server.world.clock = lambda: datetime.now(UTC) + ahead
        return str(ahead.total_seconds())

    async def _stopped(self, bot: asyncio.subprocess.Process) -> str:
        """Stop it, and return its log, with the stacks of its threads if it doesn't stop."""
        bot.send_signal(signal.SIGTERM)
        reading = asyncio.create_task(bot.communicate())
        await asyncio.wait([reading], timeout=STOP_SECONDS)
        if not reading.done():
            bot.send_signal(signal.SIGABRT)
        return (await reading)[1].decode()

    async def start(self, *command: str, **environment: str) -> asyncio.subprocess.Process:
        if self.most_descriptors:
            command = ("sh", "-c", f'ulimit -n {self.most_descriptors}; exec "$@"', "sh", *command)
        return await asyncio.create_subprocess_exec(
            *command,
            env=self.environment | environment,
            cwd=self.folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )

    async def start_and_end(self, *command: str, **environment: str) -> None:
        """Run a command, and check that it succeeds."""
        process = await self.start(*command, **environment)
        errors = (await process.communicate())[1].decode()
        assert process.returncode == 0, errors

    async def subscribe(self, *channels: Channel) -> datetime:
        """Subscribe the channels with a running bot, and return their first slot."""
        async with self.running():
            for channel in channels:
                answer = await self.server.interact(channel, "weekly subscribe")
                assert "First: " in answer.text
        async with self.database() as database:
            found = await Subscriptions(database).of_guild(self.guild.id)
        return found[0].next_slot.instant

    async def enter(self, *channels: Channel) -> datetime:
        """Insert the channels' subscriptions into the database, and return their first slot."""
        options, now = Options(EVERYTHING), datetime.now(UTC)
        slot = next_slot(options.weekly("UTC"), now)
        async with self.database() as database:
            await database.upgrade()
            for channel in channels:
                new = Subscription(0, channel.guild.id, channel.id, options, "UTC", round=1, next_slot=slot)
                if isinstance(channel, Thread):
                    new = replace(new, parent_id=channel.parent.id)
                await Subscriptions(database).put(new.guild_id, new.channel_id, lambda _, __, new=new: new)  # type: ignore[misc]
        return slot.instant

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """The bot's database, which it may be using at the same time."""
        async with Database(self.environment["WEEKBOT_DATABASE_URL"]) as database:
            yield database

    async def status(self, channel: Channel) -> str:
        return (await self.server.interact(channel, "weekly status")).text


@asynccontextmanager
async def place_in(folder: Path) -> AsyncIterator[Place]:
    """Set up the environment in a folder; a request that its Discord doesn't know fails the test."""
    async with DiscordServer() as server:
        server.changes.timeout = 60
        yield Place(server, server.add_guild("Pythonistas"), folder)
        assert not server.unknown_requests


def posts(place: Place, channel: Channel) -> list[str]:
    return [message.text for message in place.server.messages_in(channel) if "This week" in message.text]


async def posted(place: Place, *channels: Channel) -> None:
    await place.server.until(lambda: all(posts(place, channel) for channel in channels), "a post in each channel")


async def next_log_line(bot: asyncio.subprocess.Process, text: str) -> str:
    """Return the next line of the bot's log that contains the text."""
    assert bot.stderr
    async with asyncio.timeout(30):
        while text not in (line := (await bot.stderr.readline()).decode()):
            assert line, "the bot ended"
    return line
