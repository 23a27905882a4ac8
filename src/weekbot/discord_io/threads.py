"""Threads that discord.py does not know: it forgets those that are archived, so Discord is asked for them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import discord

from weekbot.delivery.deadline import from_now, until
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.discord_io.errors import MISSING_ACCESS, UNKNOWN_CHANNEL, map_errors
from weekbot.runtime.errors import describe

MOST_AT_ONCE = 5  # so that posts hardly wait behind a server's threads
ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class ThreadState:
    archived: bool
    locked: bool


class Threads:
    """Each look at a thread is a request at the pace of all others."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)

    async def look(self, thread_id: int, latest: float | None = None) -> ThreadState | None:
        """The thread as it is now; None if it is gone, or weekbot cannot see it.

        Raises RetryableError if Discord does not say that by `latest` on the event loop's clock.
        """
        try:
            async with until(from_now(ANSWER_SECONDS) if latest is None else latest), self._at_once:
                with map_errors():
                    return await self._fetched(thread_id)
        except (AmbiguousError, PermanentError, TimeoutError) as error:
            raise RetryableError(describe(error)) from error

    async def _fetched(self, thread_id: int) -> ThreadState | None:
        try:
            # The raw answer, as discord.py's own object needs fields that Discord may leave out.
            found = cast("Mapping[str, Any]", await self._client.http.get_channel(thread_id))
        except discord.HTTPException as error:
            if error.code in (UNKNOWN_CHANNEL, MISSING_ACCESS):
                return None
            raise
        about = found.get("thread_metadata") or {}
        return ThreadState(archived=bool(about.get("archived")), locked=bool(about.get("locked")))
