"""A record of this process's starts that outlives it: a crash loop must not use up the sessions of Discord's day."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from weekbot.errors import WeekbotError, said
from weekbot.store.facts import SESSION_STARTS, Facts

log = logging.getLogger(__name__)

DAY = timedelta(days=1)
FREE_FAILURES = 3  # in a row, which have no consequence: somebody may be trying things
LONGEST_SECONDS = 5.0
FIRST_PAUSE = timedelta(seconds=15)
LASTS = timedelta(minutes=10)  # from its session's beginning on, a start that did not fail


class SessionRecord:
    """`process` is the same after each restart. What is recorded is lost without harm, and so never fails.

    Two processes of one database that start at the same moment may lose one of their records.
    """

    def __init__(self, facts: Facts, process: str, now: Callable[[], datetime]) -> None:
        self._facts = facts
        self._process = process
        self._now = now
        self.failures = 0
        """How many starts in a row, before this one, began a session and then didn't last."""

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
        """By process, how many starts failed, and the last one's instant; those of the last day."""
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
    """Neither a start nor a stop waits for long for a database."""
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            yield
    except (TimeoutError, WeekbotError) as error:
        log.warning("%s cannot be recorded (%s)", what, said(error))


def process_name(shard_ids: Sequence[int] | None) -> str:
    """The machine's, or container's, and its shards."""
    return f"{socket.gethostname()} {','.join(map(str, shard_ids or ())) or 'all'}"


def pause_before_session(failures: int, shards: int, allowed: int) -> timedelta:
    """Doubles with each failure, up to a pause with which half of the sessions that are `allowed` last for a day."""
    if failures < FREE_FAILURES:
        return timedelta()
    longest = DAY * shards / max(1, allowed / 2)
    return min(FIRST_PAUSE * int(2 ** min(failures - FREE_FAILURES, 20)), longest)
