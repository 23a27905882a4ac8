"""Presses: a thousand members press *I finished it* under one post at the same time."""

from __future__ import annotations

import sqlite3
from statistics import median
from typing import Any

from benchmarks.bot import ONLINE, running
from benchmarks.due import due
from benchmarks.server import Conditions, Server

CONDITIONS = Conditions(channels=1, latency=(0.0, 0.0), limit=0)
MEMBERS = 1000
RUNS = 3
TIMEOUT_SECONDS = 60


async def measure() -> dict[str, Any]:
    """Return, for each run, the answered and counted presses, and the seconds from the press until the response."""
    runs = [await _pressed() for _ in range(RUNS)]
    print(runs, flush=True)
    return {"members": MEMBERS, "runs": runs}


async def _pressed() -> dict[str, Any]:
    async with Server(CONDITIONS) as server, due(server.channels, "flask") as database:
        async with running(server, "-m", "weekbot", "run", WEEKBOT_DATABASE_URL=database) as bot:
            await bot.wait_for(ONLINE)
            assert await server.wait_for_posts(1, TIMEOUT_SECONDS)
            seconds = await server.press_finished(MEMBERS)
        return {
            "answered": len(seconds),
            "counted": _counted(database.removeprefix("sqlite:///")),
            "median": round(median(seconds), 2),
            "most": round(max(seconds), 2),
        }


def _counted(path: str) -> int:
    with sqlite3.connect(path) as connection:
        [count] = connection.execute("SELECT count(*) FROM progress WHERE finished_at IS NOT NULL").fetchone()
    connection.close()
    return int(count)
