"""The database connections in use, so that the test that leaves one open fails, and no later one at its collection."""

import asyncio

from sqlalchemy import AsyncAdaptedQueuePool, event
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from weekbot.db.database import Database

_tasks: dict[int, asyncio.Task[object] | None] = {}


def checked_out(database: Database) -> int:
    """Return the number of the database's connections that are in use."""
    pool = database.engine.pool
    assert isinstance(pool, AsyncAdaptedQueuePool)
    return pool.checkedout()


def left_open() -> list[str]:
    """Return the tasks whose connections are still in use, and forget them."""
    tasks = [repr(task) for task in _tasks.values()]
    _tasks.clear()
    return tasks


@event.listens_for(Pool, "checkout")
def _check_out(_: object, entry: ConnectionPoolEntry, __: object) -> None:
    try:
        _tasks[id(entry)] = asyncio.current_task()
    except RuntimeError:  # a synchronous engine
        _tasks[id(entry)] = None


@event.listens_for(Pool, "checkin")
@event.listens_for(Pool, "invalidate")
def _check_in(_: object, entry: ConnectionPoolEntry, *__: object) -> None:
    _tasks.pop(id(entry), None)
