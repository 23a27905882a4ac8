"""Startup: the time from the process's start to READY, and the memory then, compared with a bare bot."""

from __future__ import annotations

import asyncio
import compileall
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bot import ONLINE, running
from benchmarks.card import CONTENT
from benchmarks.due import due
from benchmarks.server import Conditions, Server

SOURCE = Path(__file__).parents[1] / "src"

SIZES = (1_000, 10_000)
CHANNELS = 20
RUNS = 3
SETTLING_SECONDS = 3
BOTS = {"weekbot": ("-m", "weekbot", "run"), "bare": ("-m", "benchmarks.bare")}


async def measure() -> dict[str, Any]:
    """Return, by number of servers and by bot, the seconds to READY and of CPU, and the MiB of memory.

    The bots alternate, so that other load on the machine affects both.
    weekbot is compiled first, as its installation does.
    """
    compileall.compile_dir(SOURCE, quiet=1)
    return {"sizes": [await _size(guilds) for guilds in SIZES]}


async def _size(guilds: int) -> dict[str, Any]:
    runs: dict[str, list[tuple[float, float, float]]] = {bot: [] for bot in BOTS}
    for _ in range(RUNS):
        for bot in BOTS:
            runs[bot].append(await _run(bot, guilds))
    print(guilds, runs, flush=True)
    return {"guilds": guilds} | {bot: _summary(measured) for bot, measured in runs.items()}


async def _run(bot: str, guilds: int) -> tuple[float, float, float]:
    conditions = Conditions(guilds=guilds, channels=CHANNELS, latency=(0.0, 0.0), limit=0)
    async with Server(conditions) as server, due([], "") as database_url:
        settings = {"WEEKBOT_DATABASE_URL": database_url, "WEEKBOT_CONTENT_DIR": str(CONTENT)}
        async with running(server, *BOTS[bot], **settings) as process:
            seconds, cpu = await process.wait_for(ONLINE), process.cpu
            await asyncio.sleep(SETTLING_SECONDS)
            return round(seconds, 3), round(cpu, 2), round(process.memory / 2**20, 1)


def _summary(runs: list[tuple[float, float, float]]) -> dict[str, Any]:
    seconds, cpu, memory = (list(column) for column in zip(*runs, strict=True))
    medians = {"seconds": median(seconds), "cpu": median(cpu), "memory": median(memory)}
    return medians | {"all_seconds": seconds, "all_cpu": cpu, "all_memory": memory}
