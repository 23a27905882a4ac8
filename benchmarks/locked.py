"""A locked database: another program holds SQLite's write lock for five seconds during all kinds of changes."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from discord_server import Interaction
from interaction_changes import CHANGES, Discord, online

LOCKED_SECONDS = 5.0


async def measure() -> dict[str, Any]:
    """Make all changes at once; return the seconds until the last acknowledgement and the last response."""
    with tempfile.TemporaryDirectory() as folder:
        async with online(Path(folder)) as discord:
            discord.server.changes.timeout = 60
            places = [await discord.place(change) for change in CHANGES]
            async with discord.locked():
                started = time.monotonic()
                made = [change.use(place) for change, place in zip(CHANGES, places, strict=True)]
                acknowledged = await _seconds(discord, started, made, lambda each: each.acknowledged is not None)
                await asyncio.sleep(LOCKED_SECONDS - (time.monotonic() - started))
            answered = await _seconds(discord, started, made, lambda each: each.answered)
    figures = {"changes": len(made), "acknowledged": acknowledged, "answered": answered}
    print(figures, flush=True)
    return figures


async def _seconds(discord: Discord, started: float, made: list[Interaction], met: Any) -> float:
    await discord.server.until(lambda: all(map(met, made)))
    return round(time.monotonic() - started, 2)
