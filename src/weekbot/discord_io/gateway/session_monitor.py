"""Counts gateway sessions, to notice those that another program begins with the bot's token."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from discord.http import HTTPClient, Route

from weekbot.discord_io.errors import map_errors
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import describe
from weekbot.store.session_starts import SessionStarts

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 3.0  # how long the database may delay a connection to the gateway


class SessionMonitor:
    """`on_foreign` is called if another program has begun a session."""

    def __init__(self, starts: SessionStarts, clock: Clock, on_foreign: Callable[[], object]) -> None:
        self._starts = starts
        self._clock = clock
        self._on_foreign = on_foreign

    async def count(self) -> None:
        """Count a session of this process. An error is logged; the next check then finds nothing."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._starts.record(self._clock.now())
        except Exception as error:  # members and posts need the connection in any case
            self._starts.mark_uncounted()
            log.warning("a session could not be counted: %s", describe(error))

    async def check(self, http: HTTPClient) -> None:
        """Compare the count with Discord's. Raises delivery errors."""
        with map_errors():
            asked_at = self._clock.now()
            limit = (await http.request(Route("GET", "/gateway/bot")))["session_start_limit"]
            remaining, reset_after = int(limit["remaining"]), timedelta(milliseconds=int(limit["reset_after"]))
        if await self._starts.compare(remaining, asked_at + reset_after, asked_at):
            self._on_foreign()
