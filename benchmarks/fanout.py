"""Fan-out: hundreds of channels are due at once. Compares weekbot with other ways of sending."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.bot import ONLINE, Bot, running
from benchmarks.card import CONTENT, TOPIC
from benchmarks.due import due
from benchmarks.peer import DONE
from benchmarks.server import Conditions, Report, Server

CONDITIONS = Conditions(channels=600, latency=(0.150, 0.250), limit=50)
TIMEOUT_SECONDS = 180
SETTLING_SECONDS = 2
"""Time to record the last response, and to detect duplicate posts."""

WEEKBOT = {"weekbot, 48/s (default)": "48", "weekbot, 49/s": "49"}
PEERS = {
    "bare loop, the card, 48/s": ("paced_at_48", "card"),
    "bare loop, a short text, 48/s": ("paced_at_48", "text"),
    "one after another": ("one_after_another", "card"),
    "ten at a time": ("ten_at_a_time", "card"),
    "all at once": ("all_at_once", "card"),
    "paced at 25/s": ("paced_at_25", "card"),
}


@dataclass(frozen=True)
class Result:
    """The result of one way of sending.

    CPU is the user and system time of the bot's process in milliseconds a post: `cpu_ms` since it was online, including
    finding and claiming due posts; `cpu_sending_ms` since the first post.
    """

    way: str
    per_second: float
    too_many: int
    lost: int
    doubled: int
    seconds: float
    cpu_ms: float
    cpu_sending_ms: float


async def measure(only: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return a result for each way, or for those whose names contain one of the words."""
    results = []
    for way in [*WEEKBOT, *PEERS]:
        if not only or any(word in way for word in only):
            results.append(asdict(await (_weekbot(way) if way in WEEKBOT else _peer(way))))
            print(results[-1], flush=True)
    return results


async def _weekbot(way: str) -> Result:
    async with Server(CONDITIONS) as server, due(server.channels, TOPIC) as database_url:
        settings = {
            "WEEKBOT_DATABASE_URL": database_url,
            "WEEKBOT_CONTENT_DIR": str(CONTENT),
            "WEEKBOT_REQUESTS_PER_SECOND": WEEKBOT[way],
        }
        async with running(server, "-m", "weekbot", "run", **settings) as bot:
            return await _watch(way, server, bot)


async def _peer(way: str) -> Result:
    async with Server(CONDITIONS) as server:
        channels = [str(channel_id) for _, channel_id in server.channels]
        async with running(server, "-m", "benchmarks.peer", *PEERS[way], *channels) as bot:
            return await _watch(way, server, bot)


async def _watch(way: str, server: Server, bot: Bot) -> Result:
    await bot.wait_for(ONLINE)
    online = bot.cpu
    await server.wait_for_posts(1, TIMEOUT_SECONDS)
    first = bot.cpu
    if way in WEEKBOT:
        await server.wait_for_posts(len(server.channels), TIMEOUT_SECONDS)
    else:
        await bot.wait_for(DONE)
    await asyncio.sleep(SETTLING_SECONDS)
    return _result(way, await server.report(), bot.cpu - online, bot.cpu - first)


def _result(way: str, report: Report, cpu: float, cpu_sending: float) -> Result:
    return Result(
        way=way,
        per_second=round(report.rate, 2),
        too_many=report.too_many,
        lost=report.lost,
        doubled=report.doubled,
        seconds=round(report.last - report.first, 2),
        cpu_ms=round(cpu / report.posts * 1000, 2),
        cpu_sending_ms=round(cpu_sending / (report.posts - 1) * 1000, 2),
    )
