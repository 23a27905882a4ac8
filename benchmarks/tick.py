"""A tick: ten subscriptions are due among a thousand, and among a million."""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import event

from benchmarks.card import CONTENT
from benchmarks.due import due_subscription
from fakes import FakeSender, Process
from weekbot.content.loading.folder import load_library
from weekbot.domain.schedule import WEEK
from weekbot.runtime.clock import SystemClock

SIZES = (1_000, 100_000, 1_000_000)
DUE = 10
TICKS = 41
CHANNELS_A_GUILD = 5
FIRST_ID = 10**18

NO_TABLE = ("SCAN CONSTANT ROW", "SCAN (")
TABLES = ("guilds", "subscriptions", "deliveries")

Row = dict[str, Any]


async def measure() -> dict[str, Any]:
    """Return, by number of subscriptions, the milliseconds of each tick with ten due and with none; and the scans.

    The sizes alternate, so that other load on the machine affects all of them. The first round is a warm-up.
    """
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(store(size)) for size in SIZES]
        rounds = [[(await each.tick(DUE), await each.tick(0)) for each in stores] for _ in range(TICKS)][1:]
        scans = await stores[0].scans()
    figures = [_summary(size, list(ticks)) for size, ticks in zip(SIZES, zip(*rounds, strict=True), strict=True)]
    print(*figures, f"scans: {scans or 'none'}", sep="\n", flush=True)
    return {"due": DUE, "sizes": figures, "scans": scans}


def _summary(size: int, ticks: list[tuple[float, float]]) -> dict[str, Any]:
    busy, idle = ([round(seconds * 1000, 2) for seconds in column] for column in zip(*ticks, strict=True))
    medians = {"median": round(median(busy), 2), "idle_median": round(median(idle), 2)}
    return {"subscriptions": size} | medians | {"ticks": busy, "idle_ticks": idle}


class Store:
    """weekbot's delivery over a database of many subscriptions, with a Discord that responds immediately."""

    def __init__(self, file: Path, subscriptions: int) -> None:
        library = load_library(CONTENT)
        self.sender = FakeSender()
        self.process = Process(f"sqlite:///{file}", lambda: library, self.sender, SystemClock())
        self._ids = random.Random(3).sample(range(1, subscriptions + 1), DUE * TICKS)  # repeatable
        self._file = file

    async def tick(self, due: int) -> float:
        """Make `due` more subscriptions due, and return the seconds of one run of the dispatcher."""
        self._make_due([self._ids.pop() for _ in range(due)])
        posts, started = len(self.sender.posts), time.perf_counter()
        await self.process.dispatcher.run()
        seconds = time.perf_counter() - started
        assert len(self.sender.posts) == posts + due
        return seconds

    def _make_due(self, ids: list[int]) -> None:
        slot = due_subscription(0, 0).next_slot
        values = [(_stored(slot.instant), str(slot.week), subscription_id) for subscription_id in ids]
        with closing(sqlite3.connect(self._file)) as connection, connection:
            connection.executemany("UPDATE subscriptions SET next_slot = ?, next_week = ? WHERE id = ?", values)

    async def scans(self) -> list[str]:
        """Return the full table scans of an idle tick's queries, according to SQLite's query plans."""
        statements: list[tuple[str, Any]] = []

        def record(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
            statements.append((statement, parameters))

        event.listen(self.process.database.engine.sync_engine, "before_cursor_execute", record)
        await self.process.dispatcher.run()
        with closing(sqlite3.connect(self._file)) as connection:
            plans = [line for each in statements for line in _plan(connection, *each)]
        return [line for line in plans if line.startswith("SCAN") and not line.startswith(NO_TABLE)]


def _plan(connection: sqlite3.Connection, statement: str, parameters: Any) -> list[str]:
    if not statement.startswith("SELECT"):
        return []
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]


@asynccontextmanager
async def store(subscriptions: int) -> AsyncIterator[Store]:
    """Create a store whose slots are spread over the next week; each subscription has a post in the past."""
    with tempfile.TemporaryDirectory() as folder:
        file, started = Path(folder) / "weekbot.db", time.perf_counter()
        await _template(file)
        _multiply(file, subscriptions)
        print(f"{subscriptions:,} subscriptions made in {time.perf_counter() - started:.0f} s", flush=True)
        made = Store(file, subscriptions)
        try:
            yield made
        finally:
            await made.process.close()


async def _template(file: Path) -> None:
    """Create one subscription and its post, as weekbot stores them."""
    library = load_library(CONTENT)
    process = Process(f"sqlite:///{file}", lambda: library, FakeSender(), SystemClock())
    await process.database.upgrade()
    await process.subscriptions.put(1, 1, lambda _, __: due_subscription(1, 1))
    await process.dispatcher.run()
    await process.close()


def _multiply(file: Path, subscriptions: int) -> None:
    """Replace the subscription and its post with many copies."""
    with closing(sqlite3.connect(file)) as connection, connection:
        guild, subscription, delivery = (_only_row(connection, table) for table in TABLES)
        for table in TABLES:
            connection.execute(f"DELETE FROM {table}")
        guilds = range(1, subscriptions // CHANNELS_A_GUILD + 2)
        _insert(connection, "guilds", (guild | {"guild_id": FIRST_ID + number} for number in guilds))
        _insert(connection, "subscriptions", _subscriptions(subscription, subscriptions))
        _insert(connection, "deliveries", _deliveries(delivery, subscriptions))


def _only_row(connection: sqlite3.Connection, table: str) -> Row:
    cursor = connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    (row,) = cursor
    return dict(zip(names, row, strict=True))


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[Row]) -> None:
    first = next(rows)
    places = ", ".join(f":{name}" for name in first)
    connection.executemany(f"INSERT INTO {table} ({', '.join(first)}) VALUES ({places})", chain([first], rows))


def _subscriptions(template: Row, number: int) -> Iterator[Row]:
    soonest, between = datetime.now(UTC) + timedelta(hours=1), (WEEK - timedelta(hours=2)) / number
    for place in range(1, number + 1):
        slot = _stored(soonest + place * between)
        ids = {"id": place, "guild_id": FIRST_ID + place // CHANNELS_A_GUILD + 1, "channel_id": FIRST_ID + place}
        yield template | ids | {"next_slot": slot, "next_week": slot[:10]}


def _deliveries(template: Row, number: int) -> Iterator[Row]:
    latest, between = datetime.now(UTC) - timedelta(days=1), timedelta(weeks=1) / number
    numbers = random.Random(4)  # repeatable
    for place in range(1, number + 1):
        ids = {"id": f"{numbers.getrandbits(96):024x}", "subscription_id": place}
        yield template | ids | {"slot": _stored(latest - place * between), "message_id": FIRST_ID + place}


def _stored(instant: datetime) -> str:
    """Format an instant as SQLAlchemy stores it in SQLite."""
    return f"{instant:%Y-%m-%d %H:%M:%S.%f}"
