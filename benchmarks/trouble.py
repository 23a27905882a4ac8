"""Measures failing channels beside healthy ones, and global rate limits on each kind of request."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from sqlalchemy import update

from benchmarks.bot import running
from benchmarks.card import CONTENT
from benchmarks.due import always, due_subscription
from discord_server import Channel, DiscordServer, request_fault
from discord_server.call import Call
from discord_server.fault import FOREVER, Planned
from discord_server.request_fault import RequestFault
from weekbot.db.database import Database
from weekbot.db.tables import deliveries
from weekbot.store.subscriptions import Subscriptions

LATENCY = (0.150, 0.250)
FAILING, HEALTHY, A_SERVER = 2_000, 50, 50
PAUSES = ((25.0, 25.0), (60.0,))  # seconds, one after another
OTHERS, LOW_RATE = 40, "2"  # the channels with work during a limit, and the bot's requests a second
GRACE_SECONDS = 0.1  # for requests that left before the response with the limit arrived
TIMEOUT_SECONDS = 900
HEALTH_PORT = 18_765
SENDING = r"/channels/(\d+)/messages$"
LIMITED = {
    "post": ("POST", SENDING),
    "pin": ("PUT", r"/pins/"),
    "edit": ("PATCH", r"/messages/\d+$"),
    "notice": ("POST", None),
    "look-up": ("GET", SENDING),
}
"""Requests by their purpose: the method, and a pattern of the path; a notice's path is determined later."""


@dataclass
class Limits:
    """Responds to requests of one kind with consecutive global rate limits, and records arrival times."""

    method: str
    path: str
    pauses: list[float]
    seen: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    def take(self, call: Call) -> RequestFault | None:
        if "/interactions/" in call.path:
            return None
        now = time.monotonic()
        self.seen.append(now)
        if not self.pauses or call.method != self.method or not re.search(self.path, call.path):
            return None
        pause = self.pauses.pop(0)
        self.ends.append(now + pause)
        return request_fault.rate_limit(pause, "global")

    @property
    def passed(self) -> bool:
        """Return whether all limits have ended and requests have been sent since."""
        return not self.pauses and any(at > self.ends[-1] for at in self.seen)

    def within(self, pauses: Sequence[float]) -> int:
        """Return the number of requests during a limit."""
        starts = [end - pause + GRACE_SECONDS for end, pause in zip(self.ends, pauses, strict=True)]
        return sum(begin < at < end for begin, end in zip(starts, self.ends, strict=True) for at in self.seen)

    def after(self) -> list[float]:
        """Return, for each limit, the seconds from its end to the next request."""
        return [round(min(at for at in self.seen if at >= end) - end, 2) for end in self.ends]


async def measure() -> dict[str, Any]:
    """Return `failing`: the seconds until all healthy channels had posts; and `limits`: requests during limits."""
    beside = [(0, False), (FAILING, False), (FAILING, True)]
    return {
        "failing": [await _beside(failing, fails=fails) for failing, fails in beside],
        "limits": [await _limited(what, pauses) for what in LIMITED for pauses in PAUSES],
    }


async def _beside(failing: int, *, fails: bool) -> dict[str, Any]:
    """Return the seconds from the first post to the last post in a healthy channel."""
    async with DiscordServer() as server:
        server.rest.latencies, server.rest.check = LATENCY, False
        others, healthy = _channels(server, failing), _channels(server, HEALTHY)
        ids = {channel.id for channel in others}
        if fails:
            server.rest.faults.pending.append(Planned(lambda call: _is_post_in(ids, call), BAD_GATEWAY, FOREVER))
        async with _bot(server, [*others, *healthy]):
            await _until(lambda: all(server.messages_in(each) for each in healthy))
        posts = [message.created_at for each in [*others, *healthy] for message in server.messages_in(each)]
        last = max(server.messages_in(each)[0].created_at for each in healthy)
        seconds = (last - min(posts)).total_seconds()
        return _shown({"failing": failing, "fails": fails, "healthy": HEALTHY, "seconds": round(seconds, 1)})


BAD_GATEWAY = request_fault.html(502)


def _is_post_in(ids: set[int], call: Call) -> bool:
    found = re.search(SENDING, call.path)
    return call.method == "POST" and found is not None and int(found[1]) in ids


async def _limited(what: str, pauses: Sequence[float]) -> dict[str, Any]:
    """Return the requests during the pauses, the seconds from each end to the next request, and `/ready`'s reports."""
    async with DiscordServer() as server:
        channels = _channels(server, OTHERS)
        method, path = LIMITED[what]
        limits = Limits(method, path or f"/channels/{_refuse_one(server, channels)}/messages$", list(pauses))
        server.rest.faults.pending.insert(0, limits)
        if what == "look-up":  # a member has written there since the slot
            for channel in channels:
                channel.post(server.world.bot, {"content": "Hello"})
        first = channels[: OTHERS // 2] if what == "edit" else channels
        async with _bot(server, first, pin=what == "pin") as database:
            if what == "edit":
                await _until(lambda: all(server.messages_in(each) for each in first))
                await _put(database, channels[OTHERS // 2 :])
                await _mark_for_republication(database)
            reported = await _reports_until(lambda: limits.passed)
        figures = {"within": limits.within(pauses), "after": limits.after(), "ready": reported}
        return _shown({"what": what, "pauses": list(pauses), **figures})


async def _mark_for_republication(database: Database) -> None:
    """Mark all posts for an edit, as if they showed an older version."""
    async with database.write() as connection:
        await connection.execute(update(deliveries).values(version="older", correct_at=datetime.now(UTC)))


def _refuse_one(server: DiscordServer, channels: list[Channel]) -> int:
    """Let AutoMod refuse one post; return the ID of the channel that gets the notice."""
    server.inject("POST", f"/channels/{channels[0].id}/messages$", request_fault.refusal(403, 200000))
    guild = channels[0].guild
    guild.system_channel = guild.add_text_channel("system")
    return guild.system_channel.id


async def _reports_until(met: Callable[[], bool]) -> list[str]:
    """Collect the distinct messages of `/ready` about requests, without numbers, until the condition is met."""
    reports = dict[str, None]()
    async with aiohttp.ClientSession() as session, asyncio.timeout(TIMEOUT_SECONDS):
        while not met():
            with suppress(aiohttp.ClientError):  # before it listens
                async with session.get(f"http://127.0.0.1:{HEALTH_PORT}/ready") as answer:
                    condition = (await answer.json())["conditions"]["requests"]
                reports[f"{'met' if condition['met'] else 'not met'}: {re.sub('[0-9]+', '…', condition['says'])}"] = (
                    None
                )
            await asyncio.sleep(1)
    return list(reports)


# The Discord and the bot


def _channels(server: DiscordServer, count: int) -> list[Channel]:
    guilds = [server.add_guild(f"Server {number}") for number in range(-(-count // A_SERVER))]
    return [guilds[number // A_SERVER].add_text_channel(f"weekly-{number}") for number in range(count)]


@asynccontextmanager
async def _bot(server: DiscordServer, channels: Sequence[Channel], *, pin: bool = False) -> AsyncIterator[Database]:
    """Run the bot, and yield its database."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'weekbot.db'}"
        settings = {"WEEKBOT_DATABASE_URL": url, "WEEKBOT_CONTENT_DIR": str(CONTENT)}
        settings |= {"WEEKBOT_HEALTH_PORT": str(HEALTH_PORT)}
        if len(channels) <= OTHERS:
            settings["WEEKBOT_REQUESTS_PER_SECOND"] = LOW_RATE
        async with Database(url) as database:
            await database.upgrade()
            await _put(database, channels, pin=pin)
            async with running(server, "-m", "weekbot", "run", **settings):
                yield database


async def _put(database: Database, channels: Sequence[Channel], *, pin: bool = False) -> None:
    for channel in channels:
        due = due_subscription(channel.guild.id, channel.id, "start-here")
        await Subscriptions(database).put(
            channel.guild.id, channel.id, always(replace(due, options=replace(due.options, pin=pin)))
        )


async def _until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not met():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _shown(figures: dict[str, Any]) -> dict[str, Any]:
    print(figures, flush=True)
    return figures
