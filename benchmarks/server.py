"""The loopback Discord in a process of its own, so that its work is not counted as the bot's.

`Server` starts it and asks it; the process itself reads one question a line, as JSON, and answers each with a line.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from discord_server import Channel, DiscordServer, Interaction

ANSWER = re.compile(r"/interactions/(\d+)/.*/callback$")
GATEWAY = "/gateway"
SECOND = 1.0
TOO_MANY = 429
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
    """What the server saw. `first` and `last` are the seconds at which posts arrived, by a monotonic clock."""

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


@dataclass
class Toll:
    """What each request passes: its arrival is noted, Discord's limit is kept, and the latency is waited.

    A request has its effect when it arrives, and the latency passes before its answer. The limit holds for any stretch
    of a second. Answers to interactions are neither limited nor delayed.
    """

    conditions: Conditions
    answered: dict[int, float] = field(default_factory=dict)
    posts: list[float] = field(default_factory=list)
    too_many: int = 0
    passed: deque[float] = field(default_factory=deque)
    random: random.Random = field(default_factory=lambda: random.Random(1))  # the same delays in each run

    @web.middleware
    async def pass_through(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        now = time.monotonic()
        if answer := ANSWER.search(request.path):
            self.answered[int(answer[1])] = now
        if answer or request.path == GATEWAY:
            return await handler(request)
        wait = self._wait(now)
        response = _too_many(wait) if wait else await handler(request)
        if response.status == TOO_MANY:
            self.too_many += 1
        elif request.method == "POST" and request.path.endswith("/messages"):
            self.posts.append(now)
        await asyncio.sleep(self.random.uniform(*self.conditions.latency))
        return response

    def _wait(self, now: float) -> float:
        """How long the request has to wait, in seconds; 0 lets it in."""
        while self.passed and self.passed[0] + SECOND <= now:
            self.passed.popleft()
        if self.conditions.limit and len(self.passed) >= self.conditions.limit:
            return self.passed[0] + SECOND - now
        self.passed.append(now)
        return 0.0


def _too_many(wait: float) -> web.Response:
    body = {"message": "You are being rate limited.", "retry_after": math.ceil(wait * 1000) / 1000, "global": True}
    headers = {"Via": "1.1 google", "Retry-After": "1", "X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
    text = json.dumps(body).encode()
    return web.Response(body=text, status=TOO_MANY, content_type="application/json", headers=headers)


class WatchedServer(DiscordServer):
    """Notes when each interaction is dispatched."""

    def __init__(self) -> None:
        super().__init__()
        self.dispatched: dict[int, tuple[str, float]] = {}

    def _dispatch(self, interaction: Interaction, data: dict[str, Any], permissions: int | None) -> None:
        self.dispatched[interaction.id] = interaction.kind.name.lower(), time.monotonic()
        super()._dispatch(interaction, data, permissions)


class Members:
    """People who use the bot at random moments."""

    def __init__(self, server: WatchedServer, channel: Channel, toll: Toll) -> None:
        self._server = server
        self._channel = channel
        self._toll = toll
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
            seconds.setdefault(kind, []).append(self._toll.answered[number] - dispatched)
        return seconds

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

    def __init__(self, server: WatchedServer, toll: Toll, channels: list[Channel], general: Channel) -> None:
        self._server = server
        self._toll = toll
        self._channels = channels
        self._members = Members(server, general, toll)

    def place(self) -> dict[str, Any]:
        server = self._server
        channels = [(channel.guild.id, channel.id) for channel in self._channels]
        addresses = {"api_url": server.api_url, "gateway_url": server.gateway_url}
        return addresses | {"token": server.token, "channels": channels}

    async def posted(self, number: int, patience: float) -> bool:
        until = time.monotonic() + patience
        while len(self._toll.posts) < number and time.monotonic() < until:  # noqa: ASYNC110 - a look costs nothing
            await asyncio.sleep(0.005)
        return len(self._toll.posts) >= number

    async def report(self) -> dict[str, Any]:
        counts = Counter(len(channel.messages) for channel in self._channels)
        posts = self._toll.posts or [0.0]
        return asdict(
            Report(
                posts=len(self._toll.posts),
                lost=counts[0],
                doubled=sum(number for messages, number in counts.items() if messages > 1),
                too_many=self._toll.too_many,
                first=posts[0],
                last=posts[-1],
            )
        )

    async def begin_interactions(self, per_second: float, names: list[str], typed: list[str]) -> None:
        self._members.begin(per_second, names, typed)

    async def end_interactions(self) -> dict[str, list[float]]:
        return await self._members.end()


async def _serve(conditions: Conditions) -> None:
    server, toll = WatchedServer(), Toll(conditions)
    server.changes.timeout = 60
    assert server.runner.app
    server.runner.app.middlewares.append(toll.pass_through)
    guilds = [server.add_guild(f"guild {number}") for number in range(conditions.guilds)]
    channels = [guild.add_text_channel(f"weekly-{number}") for guild in guilds for number in range(conditions.channels)]
    async with server:
        await _answer_questions(Stage(server, toll, channels, guilds[0].add_text_channel("general")))


async def _answer_questions(stage: Stage) -> None:
    print(json.dumps(stage.place()), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        question, *arguments = json.loads(line)
        print(json.dumps(await getattr(stage, question)(*arguments)), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(Conditions(**json.loads(sys.argv[1]))))
