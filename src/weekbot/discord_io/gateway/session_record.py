"""Remembers failed starts across restarts, so that a crash loop doesn't use up Discord's daily sessions."""

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
FREE_FAILURES = 3  # in a row without a pause, because an operator may be experimenting
TIMEOUT_SECONDS = 5.0
FIRST_PAUSE = timedelta(seconds=15)
SUCCESS_AFTER = timedelta(minutes=10)  # from the beginning of the session


class SessionRecord:
    """Counts the failed starts of `process`, a name that stays the same after a restart. A lost record does no harm."""

    def __init__(self, metadata: Metadata, process: str, now: Callable[[], datetime]) -> None:
        self._metadata = metadata
        self._process = process
        self._now = now
        self.failures = 0  # the number of consecutive starts before this one that began a session and then failed

    async def begin(self) -> None:
        """Record that this start begins a session; until `succeed`, it counts as failed."""
        async with _recording("this start"):
            entries = await self._entries()
            self.failures = entries.get(self._process, (0, ""))[0]
            await self._put(entries | {self._process: (self.failures + 1, self._now().isoformat())})

    async def succeed(self) -> None:
        """Record that this start was stopped properly, or has lasted long enough."""
        self.failures = 0
        async with _recording("the end of this start"):
            entries = await self._entries()
            if entries.pop(self._process, None):
                await self._put(entries)

    async def _entries(self) -> dict[str, tuple[int, str]]:
        """Return the number of failed starts and the time of the last one, by process, for the last day."""
        try:
            found = json.loads(await self._metadata.get(SESSION_STARTS) or "{}")
            entries = {str(process): (int(failures), str(at)) for process, (failures, at) in found.items()}
            oldest = self._now() - DAY
            return {name: entry for name, entry in entries.items() if datetime.fromisoformat(entry[1]) > oldest}
        except (AttributeError, TypeError, ValueError):
            return {}  # written by another version

    async def _put(self, entries: dict[str, tuple[int, str]]) -> None:
        await self._metadata.put(SESSION_STARTS, json.dumps(entries))


@asynccontextmanager
async def _recording(what: str) -> AsyncIterator[None]:
    """Limit how long a start or stop waits for the database, and log errors."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            yield
    except Exception as error:  # members and posts need the connection in any case
        log.warning("%s can't be recorded: %s", what, describe(error))


def process_name(shard_ids: Sequence[int] | None) -> str:
    """Return the name of the machine or container, with the process's shards."""
    return f"{socket.gethostname()} {','.join(map(str, shard_ids or ())) or 'all'}"


def pause_before_session(failures: int, shards: int, allowed: int) -> timedelta:
    """Double the pause with each failure, up to one that uses half of the sessions `allowed` in a day."""
    if failures < FREE_FAILURES:
        return timedelta()
    longest = DAY * shards / max(1, allowed / 2)
    return min(FIRST_PAUSE * int(2 ** min(failures - FREE_FAILURES, 20)), longest)
