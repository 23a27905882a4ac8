"""Presses: a thousand members press *I finished it* under one post in the same instant."""

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
PATIENCE_SECONDS = 60


async def measure() -> dict[str, Any]:
    """Of each run, how many were answered and counted, and the seconds from the press until the answer arrived."""
    runs = [await _pressed() for _ in range(RUNS)]
    print(runs, flush=True)
    return {"members": MEMBERS, "runs": runs}


async def _pressed() -> dict[str, Any]:
    async with Server(CONDITIONS) as server, due(server.channels, "flask") as database:
        async with running(server, "-m", "weekbot", "run", WEEKBOT_DATABASE_URL=database) as bot:
            await bot.said(ONLINE)
            assert await server.posted(1, PATIENCE_SECONDS)
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
