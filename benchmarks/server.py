"""The loopback Discord in its own process, so that its work doesn't count as the bot's.

`Server` starts and controls it; the process reads one command a line, as JSON, and replies to each with a line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import re
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from discord_server import Channel, DiscordServer, Interaction
from discord_server.component import walk
from discord_server.rate_limit import RateLimits

ANSWER = re.compile(r"/interactions/(\d+)/.*/callback$")
POSTED = ("POST", "/channels/{channel_id}/messages", 200)
REPORTED = {
    "posts": "posts",
    "lost": "missing",
    "doubled": "doubled",
    "too_many": "rate_limited",
    "first": "first_post_at",
    "last": "last_post_at",
}
TIMEOUT_SECONDS = 60
MAX_LINE_BYTES = 1 << 26

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Conditions:
    """The Discord's size, its latency in seconds (uniform), and its limit of requests a second (0: no limit)."""

    guilds: int = 1
    channels: int = 600
    latency: tuple[float, float] = (0.150, 0.250)
    limit: int = 50


@dataclass(frozen=True)
class Report:
    """The server's figures. `first` and `last` are the times of posts in seconds since 1970."""

    posts: int
    lost: int
    doubled: int
    too_many: int
    first: float
    last: float

    @property
    def rate(self) -> float:
        """Return the posts a second, from the first to the last."""
        return (self.posts - 1) / (self.last - self.first)


class Server:
    """Starts and controls the process."""

    api_url: str
    gateway_url: str
    token: str
    channels: list[tuple[int, int]]
    """Each channel as (server ID, channel ID)."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.server", json.dumps(asdict(self._conditions))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
        )
        self.__dict__ |= await self._reply()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stdin = self._process.stdin
        assert stdin
        stdin.close()
        await self._process.wait()

    async def wait_for_posts(self, number: int, seconds: float) -> bool:
        """Wait for a number of posts; return False if there are fewer after that many seconds."""
        return bool(await self._call("wait_for_posts", number, seconds))

    async def report(self) -> Report:
        return Report(**await self._call("report"))

    async def begin_interactions(self, per_second: float, names: Sequence[str], typed: Sequence[str]) -> None:
        """Let members look up the names and type the texts at random moments until `end_interactions` is called."""
        await self._call("begin_interactions", per_second, list(names), list(typed))

    async def end_interactions(self) -> dict[str, list[float]]:
        """Return, by type, the seconds from each interaction's dispatch to its response."""
        found: dict[str, list[float]] = await self._call("end_interactions")
        return found

    async def press_finished(self, members: int) -> list[float]:
        """Let members press *I finished it* under the first post at once; return the seconds of the answered ones."""
        found: list[float] = await self._call("press_finished", members)
        return found

    async def _call(self, command: str, *arguments: object) -> Any:
        assert self._process.stdin
        self._process.stdin.write(json.dumps([command, *arguments]).encode() + b"\n")
        return await self._reply()

    async def _reply(self) -> Any:
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the loopback Discord ended")
        return json.loads(line)


@dataclass(eq=False)
class WatchedServer(DiscordServer):
    """Records the times of each interaction's dispatch and response."""

    dispatched: dict[int, tuple[str, float]] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.runner.app
        self.runner.app.middlewares.append(self._record_response)

    def _dispatch(self, interaction: Interaction, data: dict[str, Any], permissions: int | None) -> None:
        self.dispatched[interaction.id] = interaction.kind.name.lower(), time.monotonic()
        super()._dispatch(interaction, data, permissions)

    @web.middleware
    async def _record_response(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if answer := ANSWER.search(request.path):
            self.answered[int(answer[1])] = time.monotonic()
        return await handler(request)


class Members:
    """Members who use the bot at random moments."""

    def __init__(self, server: WatchedServer, channel: Channel) -> None:
        self._server = server
        self._channel = channel
        self._random = random.Random(2)  # the same moments in each run
        self._using: set[asyncio.Task[object]] = set()
        self._task: asyncio.Task[None] | None = None

    def begin(self, per_second: float, names: list[str], typed: list[str]) -> None:
        self._task = asyncio.create_task(self._use_repeatedly(per_second, names, typed))

    async def end(self) -> dict[str, list[float]]:
        if self._task:
            self._task.cancel()
        await asyncio.gather(*self._using)
        seconds: dict[str, list[float]] = {}
        for number, (kind, dispatched) in self._server.dispatched.items():
            seconds.setdefault(kind, []).append(self._server.answered[number] - dispatched)
        return seconds

    async def press_finished(self, number: int) -> list[float]:
        [post] = self._channel.history()
        custom_id = next(id_ for id_ in custom_ids(post.components) if id_.startswith("weekbot:finished:"))
        members = [self._channel.guild.add_member(f"member {each}") for each in range(number)]
        presses = [self._server.click(post, custom_id, member=member) for member in members]
        answers = await asyncio.gather(*presses, return_exceptions=True)
        answered = [each for each in answers if isinstance(each, Interaction) and "finished" in each.text]
        return [self._server.answered[each.id] - self._server.dispatched[each.id][1] for each in answered]

    async def _use_repeatedly(self, per_second: float, names: list[str], typed: list[str]) -> None:
        server, channel = self._server, self._channel
        while True:
            await asyncio.sleep(self._random.expovariate(per_second))
            if self._random.random() < 0.5:
                use: Coroutine[Any, Any, object] = server.interact(
                    channel, "framework", {"name": self._random.choice(names)}
                )
            else:
                use = server.autocomplete(channel, "framework", {"name": self._random.choice(typed)})
            self._using.add(asyncio.create_task(use))


class CommandHandler:
    """Carries out each command in the process with the method of that name."""

    def __init__(self, server: WatchedServer) -> None:
        self._server = server
        self._channels = [channel for guild in server.world.guilds.values() for channel in guild.channels.values()]
        self._members = Members(server, self._channels[0])

    def description(self) -> dict[str, Any]:
        server = self._server
        channels = [(channel.guild.id, channel.id) for channel in self._channels]
        addresses = {"api_url": server.api_url, "gateway_url": server.gateway_url}
        return addresses | {"token": server.token, "channels": channels}

    async def wait_for_posts(self, number: int, seconds: float) -> bool:
        counts, deadline = self._server.rest.tally.counts, time.monotonic() + seconds
        while counts[POSTED] < number and time.monotonic() < deadline:  # noqa: ASYNC110 - polling is cheap here
            await asyncio.sleep(0.005)
        return counts[POSTED] >= number

    async def report(self) -> dict[str, Any]:
        seen = self._server.report()
        return {name: seen[key] for name, key in REPORTED.items()}

    async def begin_interactions(self, per_second: float, names: list[str], typed: list[str]) -> None:
        self._members.begin(per_second, names, typed)

    async def end_interactions(self) -> dict[str, list[float]]:
        return await self._members.end()

    async def press_finished(self, number: int) -> list[float]:
        return await self._members.press_finished(number)


def custom_ids(components: list[dict[str, Any]]) -> list[str]:
    return [part["custom_id"] for part in walk(components) if "custom_id" in part]


async def _serve(conditions: Conditions) -> None:
    limits = RateLimits(conditions.limit) if conditions.limit else None
    server = WatchedServer(check=False, limits=limits, record=False)
    server.rest.latencies, server.changes.timeout = conditions.latency, TIMEOUT_SECONDS
    for guild in [server.add_guild(f"guild {number}") for number in range(conditions.guilds)]:
        for number in range(conditions.channels):
            guild.add_text_channel(f"weekly-{number}")
    gc.freeze()  # collections of the world would make the bot appear slow
    async with server:
        await _handle_commands(CommandHandler(server))


async def _handle_commands(handler: CommandHandler) -> None:
    print(json.dumps(handler.description()), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, *arguments = json.loads(line)
        print(json.dumps(await getattr(handler, command)(*arguments)), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(Conditions(**json.loads(sys.argv[1]))))
