"""A record of this process's starts that outlives it: a crash loop must not use up the sessions of Discord's day."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from weekbot.db.tables import SESSION_STARTS
from weekbot.runtime.errors import describe
from weekbot.store.metadata import Metadata

log = logging.getLogger(__name__)

DAY = timedelta(days=1)
FREE_FAILURES = 3  # in a row, without a pause: an operator may be trying things out
LONGEST_SECONDS = 5.0
FIRST_PAUSE = timedelta(seconds=15)
LASTS = timedelta(minutes=10)  # a start that runs this long after its session began has succeeded


class SessionRecord:
    """Counts the starts of `process`, a name that is the same after each restart.

    Errors of the database are only logged, because losing a record does no harm. If two processes that share a
    database start at the same moment, one record may be lost.
    """

    def __init__(self, facts: Metadata, process: str, now: Callable[[], datetime]) -> None:
        self._facts = facts
        self._process = process
        self._now = now
        self.failures = 0
        """Number of consecutive earlier starts that began a session and then didn't last."""

    async def begin(self) -> None:
        """Record that this start is about to begin a session."""
        async with _recording("this start"):
            entries = await self._entries()
            self.failures = entries.get(self._process, (0, ""))[0]
            await self._put(entries | {self._process: (self.failures + 1, self._now().isoformat())})

    async def succeed(self) -> None:
        """Record that this start didn't fail: it was stopped, or has lasted."""
        self.failures = 0
        async with _recording("the end of this start"):
            entries = await self._entries()
            if entries.pop(self._process, None):
                await self._put(entries)

    async def _entries(self) -> dict[str, tuple[int, str]]:
        """By process, the number of failed starts and the time of the last one, if that is within the last day."""
        try:
            found = json.loads(await self._facts.get(SESSION_STARTS) or "{}")
            entries = {str(process): (int(failures), str(at)) for process, (failures, at) in found.items()}
            return {process: entry for process, entry in entries.items() if self._is_recent(entry[1])}
        except (AttributeError, TypeError, ValueError):
            return {}  # of another version

    async def _put(self, entries: dict[str, tuple[int, str]]) -> None:
        await self._facts.put(SESSION_STARTS, json.dumps(entries))

    def _is_recent(self, at: str) -> bool:
        return self._now() - datetime.fromisoformat(at) < DAY


@asynccontextmanager
async def _recording(what: str) -> AsyncIterator[None]:
    """Limit how long a start or a stop waits for the database, and log errors."""
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            yield
    except Exception as error:  # whatever it is, members and posts need the connection
        log.warning("%s cannot be recorded (%s)", what, describe(error))


def process_name(shard_ids: Sequence[int] | None) -> str:
    """The name of the machine or container, with the process's shards."""
    return f"{socket.gethostname()} {','.join(map(str, shard_ids or ())) or 'all'}"


def pause_before_session(failures: int, shards: int, allowed: int) -> timedelta:
    """Double the pause with each failure, up to one that uses half of a day's `allowed` sessions."""
    if failures < FREE_FAILURES:
        return timedelta()
    longest = DAY * shards / max(1, allowed / 2)
    return min(FIRST_PAUSE * int(2 ** min(failures - FREE_FAILURES, 20)), longest)
