"""Counts gateway sessions, to notice those that another program begins with the bot's token."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from discord.http import HTTPClient, Route

from weekbot.discord_io.errors import map_errors
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import describe
from weekbot.store.session_starts import SessionStarts

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 3.0  # how long the database may delay a connection to the gateway


@dataclass(eq=False)
class SessionMonitor:
    starts: SessionStarts
    clock: Clock
    on_foreign: Callable[[], object]  # called if another program has begun a session

    async def count(self) -> None:
        """Count a session of this process. An error is logged; the next check then finds nothing."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self.starts.record(self.clock.now())
        except Exception as error:  # members and posts need the connection in any case
            self.starts.mark_uncounted()
            log.warning("a session could not be counted: %s", describe(error))

    async def check(self, http: HTTPClient) -> None:
        """Compare the count with Discord's. Raises delivery errors."""
        with map_errors():
            asked_at = self.clock.now()
            limit = (await http.request(Route("GET", "/gateway/bot")))["session_start_limit"]
            remaining, reset_after = int(limit["remaining"]), timedelta(milliseconds=int(limit["reset_after"]))
        if await self.starts.compare(remaining, asked_at + reset_after, asked_at):
            self.on_foreign()
