"""Moving: the time of `weekbot db copy` for a large database."""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.tick import store
from postgres import database_url
from weekbot.db.database import Database
from weekbot.transfer.database_copy import copy

SUBSCRIPTIONS = 100_000
POSTS_EACH = 10


async def measure() -> dict[str, Any]:
    """Return the seconds of the whole copy, including its verification, to a PostgreSQL on this machine."""
    async with store(SUBSCRIPTIONS) as made:
        _age(Path(made.process.database.name))
        source = Database(f"sqlite:///{made.process.database.name}")
        with database_url() as url:
            target, started = Database(url), time.perf_counter()
            await copy(source, target, lambda line: print(line, flush=True))
            seconds = time.perf_counter() - started
            await target.close()
        await source.close()
    print(f"{seconds:.1f} s", file=sys.stderr, flush=True)
    return {"subscriptions": SUBSCRIPTIONS, "deliveries": SUBSCRIPTIONS * POSTS_EACH, "seconds": round(seconds, 1)}


def _age(file: Path) -> None:
    """Add posts of earlier weeks to each subscription."""
    with closing(sqlite3.connect(file)) as connection, connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(deliveries)")]
        new = {"id": "lower(hex(randomblob(12)))", "slot": "datetime(slot, '-' || week || ' days') || '.000000'"}
        chosen = ", ".join(new.get(name, name) for name in names)
        most = 7 * (POSTS_EACH - 1)
        weeks = f"weeks(week) AS (SELECT 7 UNION ALL SELECT week + 7 FROM weeks WHERE week < {most})"
        insertion = f"INSERT INTO deliveries ({', '.join(names)}) WITH RECURSIVE {weeks}"
        connection.execute(f"{insertion} SELECT {chosen} FROM deliveries, weeks")
