"""Start-up: from the process's start to READY, and the memory it then has, beside a bare bot's."""

from __future__ import annotations

import asyncio
from statistics import median
from typing import Any

from benchmarks.bot import ONLINE, running
from benchmarks.card import CONTENT
from benchmarks.due import due
from benchmarks.server import Conditions, Server

CONDITIONS = Conditions(guilds=1000, channels=20, latency=(0.0, 0.0), limit=0)
RUNS = 3
SETTLING_SECONDS = 3
BOTS = {"weekbot": ("-m", "weekbot", "run"), "bare": ("-m", "benchmarks.bare")}


async def measure() -> dict[str, Any]:
    """By bot, the median and each run's seconds to READY and MiB of resident memory; the bots take turns."""
    runs: dict[str, list[tuple[float, float]]] = {bot: [] for bot in BOTS}
    for _ in range(RUNS):
        for bot in BOTS:
            runs[bot].append(await _run(bot))
    print(runs, flush=True)
    return {bot: _summary(measured) for bot, measured in runs.items()}


async def _run(bot: str) -> tuple[float, float]:
    async with Server(CONDITIONS) as server, due([], "") as database_url:
        settings = {"WEEKBOT_DATABASE_URL": database_url, "WEEKBOT_CONTENT_DIR": str(CONTENT)}
        async with running(server, *BOTS[bot], **settings) as process:
            seconds = await process.said(ONLINE)
            await asyncio.sleep(SETTLING_SECONDS)
            return round(seconds, 3), round(process.memory / 2**20, 1)


def _summary(runs: list[tuple[float, float]]) -> dict[str, Any]:
    seconds, memory = (list(column) for column in zip(*runs, strict=True))
    return {"seconds": median(seconds), "memory": median(memory), "all_seconds": seconds, "all_memory": memory}
