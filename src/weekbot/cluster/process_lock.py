"""The process lock: one process alone uses a SQLite file, or sends posts over a PostgreSQL database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

from filelock import AsyncFileLock, Timeout

from weekbot.cluster.fencing import Fencing
from weekbot.cluster.leader_election import LeaderElection
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnusableError
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.leadership import ClusterNode, Leadership, SingleProcess
from weekbot.runtime.loop import now
from weekbot.runtime.tasks import cancel_and_wait

ELECTION_TIME = timedelta(seconds=1)
WATCH_SECONDS = 0.2


class InUseError(WeekbotError):
    """Another weekbot is running with this database. Stop it first, or set WEEKBOT_DATABASE_URL to another database."""


class ProcessLockLostError(WeekbotError):
    """The database cut the connection, and another weekbot may be sending now. This one stopped; start it again."""


@asynccontextmanager
async def join_cluster(database: Database, patience: timedelta) -> AsyncIterator[tuple[ClusterNode, Database]]:
    """Share the database with other processes. Yields this process's node, and the database as only the leader writes.

    A SQLite file has one process only: raises InUseError if another one still uses it when the patience is over.
    """
    if database.is_sqlite:
        async with _file_lock(database, patience):
            yield SingleProcess(), database
    else:
        fencing = Fencing()
        election = LeaderElection(database, fencing)
        async with election.running():
            yield election, database.fenced(fencing.check)


def process_lock(database: Database, patience: timedelta = timedelta()) -> AbstractAsyncContextManager[Database]:
    """Keep other processes from sending until the block ends. The system frees the lock if this process dies.

    Raises InUseError if another process still sends when the patience is over. Cancels the block, and raises
    ProcessLockLostError, if the lock is lost.
    """
    return _file_lock(database, patience) if database.is_sqlite else _leader_lock(database, patience)


@asynccontextmanager
async def _file_lock(database: Database, patience: timedelta) -> AsyncIterator[Database]:
    path = f"{database.name}.lock"
    # A lock that is only a file would stay behind when the process is killed, and nobody could start again.
    lock = AsyncFileLock(path, timeout=patience.total_seconds(), run_in_executor=False, fallback_to_soft=False)
    try:
        await lock.acquire()
    except Timeout:
        raise InUseError from None
    except (OSError, NotImplementedError) as error:
        raise DatabaseUnusableError(f"The lock file {path} can't be used: {error}.") from error
    try:
        yield database
    finally:
        await lock.release()


@asynccontextmanager
async def _leader_lock(database: Database, patience: timedelta) -> AsyncIterator[Database]:
    await database.check()
    async with join_cluster(database, patience) as (node, fenced):
        node.stand_for_election()
        try:
            async with asyncio.timeout((patience + ELECTION_TIME).total_seconds()):
                await anext(node.elected())
        except TimeoutError:
            raise (DatabaseUnusableError(node.obstacle) if node.obstacle else InUseError()) from None
        async with _while_leader(node):
            yield fenced


@asynccontextmanager
async def _while_leader(leadership: Leadership) -> AsyncIterator[None]:
    """Cancel the block, and raise ProcessLockLostError, as soon as this process is no longer the leader."""
    try:
        async with asyncio.timeout(None) as scope:
            watch = asyncio.create_task(_expire_when_lost(scope, leadership))
            try:
                yield
                scope.reschedule(None)  # what is lost from now on changes nothing
            finally:
                await cancel_and_wait(watch)
    except TimeoutError:
        if scope.expired():
            raise ProcessLockLostError from None
        raise


async def _expire_when_lost(scope: asyncio.Timeout, leadership: Leadership) -> None:
    while leadership.is_leader():  # noqa: ASYNC110 - a lease expires without an event
        await asyncio.sleep(WATCH_SECONDS)
    scope.reschedule(now())
