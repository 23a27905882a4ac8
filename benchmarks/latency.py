"""Latency: a member's wait for `/framework` and its autocomplete during a fan-out."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.bot import ONLINE, running
from benchmarks.due import due
from benchmarks.server import Conditions, Server
from benchmarks.thousand import aliases, content_of_a_thousand, slug, titles

BROADCAST = Conditions(channels=1500, latency=(0.150, 0.250), limit=50)
PER_SECOND = 20
QUIET_SECONDS = 15
TIMEOUT_SECONDS = 180


async def measure() -> dict[str, Any]:
    """Return milliseconds by interaction type, during a fan-out and without one, at the server and in the bot."""
    with content_of_a_thousand() as content:
        return {"fanout": await _during(content, fanout=True), "quiet": await _during(content, fanout=False)}


async def _during(content: Path, *, fanout: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "inside.json"
        async with Server(BROADCAST) as server, due(server.channels if fanout else [], slug(titles()[0])) as database:
            settings = {"WEEKBOT_DATABASE_URL": database, "WEEKBOT_CONTENT_DIR": str(content)}
            async with running(server, "-m", "benchmarks.response_times", str(inside), **settings) as bot:
                await bot.wait_for(ONLINE)
                outside = await _interactions(server, fanout=fanout)
        found = {"seen from Discord": outside, "in the bot": json.loads(inside.read_text("utf-8"))}
        figures = {place: {kind: _summary(all_) for kind, all_ in kinds.items()} for place, kinds in found.items()}
        print(figures, flush=True)
        return figures


async def _interactions(server: Server, *, fanout: bool) -> dict[str, list[float]]:
    await server.begin_interactions(PER_SECOND, names(), typed_texts())
    if fanout:
        assert await server.wait_for_posts(len(server.channels), TIMEOUT_SECONDS)
    else:
        await asyncio.sleep(QUIET_SECONDS)
    return await server.end_interactions()


def names() -> list[str]:
    """Return the names that members look up: titles, slugs, aliases and misspelt titles."""
    return [name for title in titles() for name in (title, slug(title), *aliases(title), _misspelt(title))]


def typed_texts() -> list[str]:
    """Return the texts that members type: nothing, the first one to six letters, or a misspelt title."""
    return ["", *(title[:length] for title in titles() for length in range(1, 7)), *map(_misspelt, titles())]


def _misspelt(title: str) -> str:
    """Swap two letters."""
    return f"{title[:2]}{title[3]}{title[2]}{title[4:]}"


def _summary(seconds: list[float]) -> dict[str, float]:
    hundredths = quantiles(seconds, n=100, method="inclusive")
    milliseconds = {"p50": hundredths[49], "p99": hundredths[98], "max": max(seconds)}
    return {"count": len(seconds)} | {name: round(value * 1000, 2) for name, value in milliseconds.items()}
