"""The loopback Discord in a process of its own, so that its work is not counted as the bot's.

`Server` starts it and asks it; the process itself reads one question a line, as JSON, and answers each with a line.
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
PATIENCE_SECONDS = 60
LONGEST_LINE = 1 << 26

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Conditions:
    """What the Discord is like: its size, seconds of latency (uniform), requests a second that it takes (0: any)."""

    guilds: int = 1
    channels: int = 600
    latency: tuple[float, float] = (0.150, 0.250)
    limit: int = 50


@dataclass(frozen=True)
class Report:
    """What the server saw. `first` and `last` are when posts were made, in seconds since 1970."""

    posts: int
    lost: int
    doubled: int
    too_many: int
    first: float
    last: float

    @property
    def rate(self) -> float:
        """Posts a second, from the first to the last."""
        return (self.posts - 1) / (self.last - self.first)


class Server:
    """The process, seen from outside."""

    api_url: str
    gateway_url: str
    token: str
    channels: list[tuple[int, int]]
    """Each channel as (the server's id, the channel's id)."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.server", json.dumps(asdict(self._conditions))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        self.__dict__ |= await self._answer()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stdin = self._process.stdin
        assert stdin
        stdin.close()
        await self._process.wait()

    async def posted(self, number: int, patience: float) -> bool:
        """Wait until so many posts arrived; False if they did not within `patience` seconds."""
        return bool(await self._ask("posted", number, patience))

    async def report(self) -> Report:
        return Report(**await self._ask("report"))

    async def begin_interactions(self, per_second: float, names: Sequence[str], typed: Sequence[str]) -> None:
        """Let members look the names up, and type the beginnings of others, at random moments, until told to stop."""
        await self._ask("begin_interactions", per_second, list(names), list(typed))

    async def end_interactions(self) -> dict[str, list[float]]:
        """By kind, the seconds from each interaction's dispatch to the arrival of its answer."""
        found: dict[str, list[float]] = await self._ask("end_interactions")
        return found

    async def press_finished(self, members: int) -> list[float]:
        """Let so many members press *I finished it* under the first post at once; the seconds of those answered."""
        found: list[float] = await self._ask("press_finished", members)
        return found

    async def _ask(self, question: str, *arguments: object) -> Any:
        assert self._process.stdin
        self._process.stdin.write(json.dumps([question, *arguments]).encode() + b"\n")
        return await self._answer()

    async def _answer(self) -> Any:
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the loopback Discord ended")
        return json.loads(line)


@dataclass(eq=False)
class WatchedServer(DiscordServer):
    """Notes when each interaction is dispatched, and when its answer arrives."""

    dispatched: dict[int, tuple[str, float]] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.runner.app
        self.runner.app.middlewares.append(self._note_answer)

    def _dispatch(self, interaction: Interaction, data: dict[str, Any], permissions: int | None) -> None:
        self.dispatched[interaction.id] = interaction.kind.name.lower(), time.monotonic()
        super()._dispatch(interaction, data, permissions)

    @web.middleware
    async def _note_answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if answer := ANSWER.search(request.path):
            self.answered[int(answer[1])] = time.monotonic()
        return await handler(request)


class Members:
    """People who use the bot at random moments."""

    def __init__(self, server: WatchedServer, channel: Channel) -> None:
        self._server = server
        self._channel = channel
        self._random = random.Random(2)  # the same moments in each run
        self._using: set[asyncio.Task[object]] = set()
        self._coming: asyncio.Task[None] | None = None

    def begin(self, per_second: float, names: list[str], typed: list[str]) -> None:
        self._coming = asyncio.create_task(self._come(per_second, names, typed))

    async def end(self) -> dict[str, list[float]]:
        if self._coming:
            self._coming.cancel()
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
        told = [each for each in answers if isinstance(each, Interaction) and "finished" in each.text]
        return [self._server.answered[each.id] - self._server.dispatched[each.id][1] for each in told]

    async def _come(self, per_second: float, names: list[str], typed: list[str]) -> None:
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


class Stage:
    """The process, from inside: answers each question by the method of its name."""

    def __init__(self, server: WatchedServer) -> None:
        self._server = server
        self._channels = [channel for guild in server.world.guilds.values() for channel in guild.channels.values()]
        self._members = Members(server, self._channels[0])

    def place(self) -> dict[str, Any]:
        server = self._server
        channels = [(channel.guild.id, channel.id) for channel in self._channels]
        addresses = {"api_url": server.api_url, "gateway_url": server.gateway_url}
        return addresses | {"token": server.token, "channels": channels}

    async def posted(self, number: int, patience: float) -> bool:
        counts, until = self._server.rest.tally.counts, time.monotonic() + patience
        while counts[POSTED] < number and time.monotonic() < until:  # noqa: ASYNC110 - a look costs nothing
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
    server.rest.latencies, server.changes.timeout = conditions.latency, PATIENCE_SECONDS
    for guild in [server.add_guild(f"guild {number}") for number in range(conditions.guilds)]:
        for number in range(conditions.channels):
            guild.add_text_channel(f"weekly-{number}")
    gc.freeze()  # its passes over the world would be taken for the bot's slowness
    async with server:
        await _answer_questions(Stage(server))


async def _answer_questions(stage: Stage) -> None:
    print(json.dumps(stage.place()), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        question, *arguments = json.loads(line)
        print(json.dumps(await getattr(stage, question)(*arguments)), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(Conditions(**json.loads(sys.argv[1]))))
