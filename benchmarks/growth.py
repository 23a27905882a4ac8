"""Growth: the size of a year's deliveries on disk, and the time of pruning, on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text

from benchmarks.tick import store
from postgres import database_url
from weekbot.db.database import Database
from weekbot.store.pruning import Pruning
from weekbot.transfer.database_copy import copy

SUBSCRIPTIONS = 20_000
WEEKS = 52
CALLS = 40
TOPICS = 13  # in the track: one round a quarter
STEPS = ("thread", "pin")
THREE_YEARS = timedelta(days=3 * 365)


async def measure() -> dict[str, Any]:
    """Return, for each backend, the bytes of a delivery and a step with their indexes, and the times of pruning."""
    async with store(SUBSCRIPTIONS) as made:
        file = Path(made.process.database.name)
        url = f"sqlite:///{file}"
        with database_url() as other:
            found = {"SQLite": _of_sqlite(file), "PostgreSQL": await _of_postgresql(url, other)}
            for kind, each in (("SQLite", url), ("PostgreSQL", other)):
                async with _opened(each) as database:
                    found[kind] |= await _pruned(database)
    print(found, flush=True)
    return {"subscriptions": SUBSCRIPTIONS, "weeks": WEEKS, "kinds": found}


def _of_sqlite(file: Path) -> dict[str, Any]:
    started = _size(file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(_deliveries(connection))
    deliveries = _size(file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(_STEPS)
    steps = _size(file)
    return _bytes_each(deliveries - started, steps - deliveries)


_EARLIER = "datetime({0}, '-' || (week * 7) || ' days') || '.000000'"


def _deliveries(connection: sqlite3.Connection) -> str:
    """Return a statement that copies each subscription's last post to every week of a year, with new IDs."""
    names = [row[1] for row in connection.execute("PRAGMA table_info(deliveries)")]
    new = {
        "id": "lower(hex(randomblob(12)))",
        "slot": _EARLIER.format("slot"),
        "sent_at": _EARLIER.format("sent_at"),
        "topic": f"'topic-' || (week % {TOPICS})",
        "message_id": "message_id + week",
    }
    chosen = ", ".join(new.get(name, name) for name in names)
    weeks = f"WITH RECURSIVE weeks(week) AS (SELECT 1 UNION ALL SELECT week + 1 FROM weeks WHERE week < {WEEKS})"
    # Week by week, so that the indexes are filled as in production.
    return f"INSERT INTO deliveries {weeks} SELECT {chosen} FROM weeks CROSS JOIN deliveries ORDER BY week DESC"


_STEPS = ";".join(
    "INSERT INTO steps (delivery_id, name, done, attempts, retry_at, reason) "
    f"SELECT id, '{name}', 1, 1, sent_at, NULL FROM deliveries ORDER BY slot"
    for name in STEPS
)


def _size(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file.stat().st_size


def _bytes_each(deliveries: int, steps: int) -> dict[str, Any]:
    rows = SUBSCRIPTIONS * WEEKS
    return {"delivery": round(deliveries / rows), "step": round(steps / (rows + SUBSCRIPTIONS) / len(STEPS))}


async def _of_postgresql(source_url: str, url: str) -> dict[str, Any]:
    async with _opened(source_url) as source, _opened(url) as target:
        await copy(source, target, print)
        async with target.read() as connection:
            sizes = [
                await connection.scalar(text("SELECT pg_total_relation_size(:table)"), {"table": table})
                for table in ("deliveries", "steps")
            ]
    return _bytes_each(round(sizes[0] * WEEKS / (WEEKS + 1)), sizes[1])


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        await database.close()


async def _pruned(database: Database) -> dict[str, Any]:
    """Measure calls that find enough to delete: all deliveries are three years old and of an earlier round."""
    async with database.write() as connection:
        await connection.execute(text("UPDATE subscriptions SET round = 5"))
        await connection.execute(text("ANALYZE"))  # PostgreSQL does this automatically some time later
    pruning, now = Pruning(database), datetime.now(UTC) + THREE_YEARS
    seconds, deleted = [], 0
    for _ in range(CALLS):
        started = time.perf_counter()
        deleted += await pruning.delete_batch(now)
        seconds.append(time.perf_counter() - started)
    return {"deleted": deleted // CALLS, "median": round(median(seconds), 3), "most": round(max(seconds), 3)}
