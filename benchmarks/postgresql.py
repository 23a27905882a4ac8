"""A tick on PostgreSQL: ten subscriptions are due among a thousand, and among a million."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from typing import Any

from sqlalchemy import text, update

from benchmarks.card import CONTENT
from benchmarks.due import due_subscription
from benchmarks.tick import DUE, TICKS, store
from fakes import FakeSender, Process
from postgres import database_url
from weekbot.content.loading.folder import load_library
from weekbot.db.database import Database
from weekbot.db.tables import subscriptions
from weekbot.runtime.clock import SystemClock
from weekbot.transfer.database_copy import copy

SIZES = (1_000, 1_000_000)


async def measure() -> dict[str, Any]:
    """Return, for each number of subscriptions, the median milliseconds of a tick with ten due and with none.

    The sizes alternate, so that other load on the machine affects both. The first round is a warm-up.
    """
    async with AsyncExitStack() as stack:
        bots = [await stack.enter_async_context(_bot(size)) for size in SIZES]
        rounds = [[(await each.tick(DUE), await each.tick(0)) for each in bots] for _ in range(TICKS)][1:]
    figures = [_summary(size, list(ticks)) for size, ticks in zip(SIZES, zip(*rounds, strict=True), strict=True)]
    print(*figures, sep="\n", flush=True)
    return {"due": DUE, "ticks": TICKS - 1, "sizes": figures}


def _summary(size: int, ticks: list[tuple[float, float]]) -> dict[str, Any]:
    busy, idle = (round(median(column) * 1000, 2) for column in zip(*ticks, strict=True))
    return {"subscriptions": size, "median": busy, "idle_median": idle}


class _Bot:
    """weekbot's delivery over a database, with a Discord that responds immediately."""

    def __init__(self, url: str, size: int) -> None:
        library = load_library(CONTENT)
        self._sender = FakeSender()
        self.process = Process(url, lambda: library, self._sender, SystemClock())
        self._ids = random.Random(3).sample(range(1, size + 1), DUE * TICKS)  # repeatable

    async def tick(self, due: int) -> float:
        """Make `due` more subscriptions due, and return the seconds of one run of the dispatcher."""
        await self._make_due([self._ids.pop() for _ in range(due)])
        posts, started = len(self._sender.posts), time.perf_counter()
        await self.process.dispatcher.run()
        seconds = time.perf_counter() - started
        assert len(self._sender.posts) == posts + due
        return seconds

    async def _make_due(self, ids: list[int]) -> None:
        slot = due_subscription(0, 0).next_slot
        made = update(subscriptions).where(subscriptions.c.id.in_(ids))
        async with self.process.database.write() as connection:
            await connection.execute(made.values(next_slot=slot.instant, next_week=slot.week))


@asynccontextmanager
async def _bot(size: int) -> AsyncIterator[_Bot]:
    with database_url() as url:
        async with store(size) as made:
            await _copied(f"sqlite:///{made.process.database.name}", url)
        bot = _Bot(url, size)
        try:
            yield bot
        finally:
            await bot.process.close()


async def _copied(source_url: str, target_url: str) -> None:
    source, target = Database(source_url), Database(target_url)
    await copy(source, target, print)
    async with target.write() as connection:
        await connection.execute(text("ANALYZE"))  # PostgreSQL does this automatically some time later
    await source.close()
    await target.close()
