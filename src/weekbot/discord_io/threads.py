"""Archived threads, which discord.py drops from its cache: their state is fetched."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import discord

from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.discord_io.errors import MISSING_ACCESS, UNKNOWN_CHANNEL, SuppressCodes, map_errors
from weekbot.runtime.errors import describe

MAX_CONCURRENT = 5  # so that posts hardly wait behind a server's threads
ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class ThreadState:
    archived: bool
    locked: bool


class Threads:
    def __init__(self, client: discord.Client) -> None:
        self._client = client
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def fetch(self, thread_id: int, deadline: float | None = None) -> ThreadState | None:
        """Return the state, or None if the thread is gone or not visible. Raises RetryableError for any failure.

        The deadline is on the event loop's clock.
        """
        try:
            async with deadline_at(from_now(ANSWER_SECONDS) if deadline is None else deadline), self._semaphore:
                with map_errors():
                    return await self._fetch(thread_id)
        except (AmbiguousError, PermanentError, TimeoutError) as error:
            raise RetryableError(describe(error)) from error

    async def _fetch(self, thread_id: int) -> ThreadState | None:
        with SuppressCodes(UNKNOWN_CHANNEL, MISSING_ACCESS):
            # The raw payload, as discord.py's object requires fields that Discord may leave out.
            payload = cast("Mapping[str, Any]", await self._client.http.get_channel(thread_id))
            metadata = payload.get("thread_metadata") or {}
            return ThreadState(archived=bool(metadata.get("archived")), locked=bool(metadata.get("locked")))
        return None
