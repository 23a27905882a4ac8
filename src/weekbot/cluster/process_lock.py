"""Who may use a database: one process alone, or several that share its duties."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from filelock import AsyncFileLock, Timeout

from weekbot.cluster.fencing import Fencing
from weekbot.cluster.leader_election import LeaderElection, kept
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnusableError
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.leadership import Leadership, SingleProcess

FIRST_LOOK = timedelta(seconds=1)
WATCH_SECONDS = 0.2


class InUseError(WeekbotError):
    """Another weekbot is running with this database. Stop it first, or set WEEKBOT_DATABASE_URL to another database."""


class SoleUseLostError(WeekbotError):
    """The database cut the connection, and another weekbot may be sending now. This one stopped; start it again."""


@asynccontextmanager
async def shared_use(database: Database, patience: timedelta) -> AsyncIterator[tuple[Leadership, Database]]:
    """This process's duties among those that use the database, and the database as the one that sends writes it.

    With SQLite there is one process only: raises InUseError where another one still is there when the patience ends.
    """
    if database.is_sqlite:
        async with _file(database, patience):
            yield SingleProcess(), database
    else:
        duties, fence = _shared(database)
        async with kept(duties):
            yield duties, database.fenced(fence.check)


@asynccontextmanager
async def sole_use(database: Database, patience: timedelta = timedelta()) -> AsyncIterator[Database]:
    """The database as the one process that sends writes it. The system lets go of it when it ends, however it ends.

    Raises InUseError where another process still sends when the patience is at its end, and SoleUseLostError, in
    whatever is being done under it, where it is lost.
    """
    sending = _file if database.is_sqlite else _sending
    async with sending(database, patience) as fenced:
        yield fenced


@asynccontextmanager
async def _file(database: Database, patience: timedelta) -> AsyncIterator[Database]:
    """The database's file `*.lock`."""
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
async def _sending(database: Database, patience: timedelta) -> AsyncIterator[Database]:
    await database.check()
    duties, fence = _shared(database)
    async with kept(duties):
        duties.stand_for_election()
        try:
            async with asyncio.timeout((patience + FIRST_LOOK).total_seconds()):
                await anext(duties.elected())
        except TimeoutError:
            raise _kept_out(duties) from None
        async with _while_sending(duties):
            yield database.fenced(fence.check)


def _kept_out(duties: Leadership) -> WeekbotError:
    return DatabaseUnusableError(duties.obstacle) if duties.obstacle else InUseError()


def _shared(database: Database) -> tuple[LeaderElection, Fencing]:
    fence = Fencing()
    return LeaderElection(database, fence), fence


@asynccontextmanager
async def _while_sending(duties: Leadership) -> AsyncIterator[None]:
    """Cancel what is done within as soon as the sending is no longer this process's, as a time-out would."""
    task, watching = asyncio.current_task(), asyncio.create_task(_lost(duties))

    def end(ended: asyncio.Task[None]) -> None:
        if task and not ended.cancelled():
            task.cancel()

    watching.add_done_callback(end)
    try:
        yield
    except asyncio.CancelledError:
        if not watching.done() or task is None or task.uncancel() > 0:
            raise
        raise SoleUseLostError from None
    finally:
        watching.remove_done_callback(end)  # else one that is still to come would cancel what follows
        watching.cancel()


async def _lost(duties: Leadership) -> None:
    while duties.is_leader():  # noqa: ASYNC110 - it is lost without an event, as by silence
        await asyncio.sleep(WATCH_SECONDS)
