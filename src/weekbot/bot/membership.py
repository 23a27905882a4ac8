"""Which servers the bot is in: what is kept of one that it left outlives the leaving for a while."""

import logging
from collections.abc import Callable
from datetime import timedelta

from weekbot.clock import Clock
from weekbot.store.guilds import Guilds

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(days=30)


class Membership:
    def __init__(self, guilds: Guilds, clock: Clock) -> None:
        self._guilds = guilds
        self._clock = clock

    async def joined(self, guild_id: int) -> None:
        await self._guilds.joined([guild_id])

    async def left(self, guild_id: int) -> None:
        log.info("left server %d; what is kept of it is deleted in %d days", guild_id, KEPT_FOR.days)
        await self._guilds.left([guild_id], self._clock.now())

    async def reconcile(self, present: set[int], is_ours: Callable[[int], bool]) -> None:
        """Find out which servers were left or joined unseen.

        `present` are the servers that the bot is in; of those that are not ours this process knows nothing.
        """
        await self._guilds.joined(await self._guilds.away() & present)
        missing = await self._guilds.present() - present
        await self._guilds.left({guild_id for guild_id in missing if is_ours(guild_id)}, self._clock.now())

    async def forget_left(self) -> None:
        """Delete what is kept of servers that were left long ago."""
        if forgotten := await self._guilds.forget_left(self._clock.now() - KEPT_FOR):
            log.info("deleted what was kept of %d servers that were left", forgotten)
