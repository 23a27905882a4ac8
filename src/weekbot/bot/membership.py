"""Which servers the bot is in: what is kept of one that it left outlives the leaving for a while."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta

from weekbot.clock import Clock
from weekbot.delivery.outcomes import NotSentError, OutcomeUnknownError, RefusedError
from weekbot.store.guilds import Guilds

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(days=30)
MOST_ASKED = 100  # of the servers that a list lacks, each hour


class Membership:
    """`servers` asks Discord for the ids of all servers that the bot is in; `locales` is what those seen here speak.

    A list may lack a server, and an event may be incomplete: before a server counts as left, `is_in` asks about it.
    Both raise the errors of `outcomes`.

    Posts go out from wherever a process runs, so what language a server speaks is kept for all processes.
    """

    def __init__(
        self,
        guilds: Guilds,
        servers: Callable[[], Awaitable[set[int]]],
        is_in: Callable[[int], Awaitable[bool]],
        locales: Callable[[], Mapping[int, str]],
        clock: Clock,
    ) -> None:
        self._guilds = guilds
        self._servers = servers
        self._is_in = is_in
        self._locales = locales
        self._clock = clock

    async def joined(self, guild_id: int) -> None:
        await self._guilds.joined([guild_id], self._clock.now())

    async def left(self, guild_id: int) -> None:
        await self._leave([guild_id])

    async def _leave(self, guild_ids: Collection[int]) -> None:
        """Record those that Discord confirms; as soon as it does not answer, the others wait for the next look."""
        left = list[int]()
        try:
            for guild_id in guild_ids:
                if not await self._is_in(guild_id):
                    log.info("left; what is kept of it is deleted in %d days", KEPT_FOR.days, extra={"guild": guild_id})
                    left.append(guild_id)
        except (NotSentError, OutcomeUnknownError) as error:
            log.warning("Discord does not say whether the bot has left a server: %s", error)
        await self._guilds.left(left, self._clock.now())

    async def speak(self) -> None:
        """Record which languages the servers that are seen here have set, as far as that has changed unseen."""
        await self._guilds.speak(self._locales())

    async def look_after(self) -> None:
        """Find out which servers were left or joined unseen, and forget those that were left long ago.

        Where Discord does not tell, nothing is forgotten.
        """
        known, away = await self._guilds.present(), await self._guilds.away()
        try:
            present = await self._servers()
        except (NotSentError, OutcomeUnknownError, RefusedError) as error:
            log.warning("the list of servers cannot be had: %s", error)
            return
        await self._guilds.joined(away & present, self._clock.now())
        await self._leave(sorted(known - present)[:MOST_ASKED])
        if forgotten := await self._guilds.forget_left(self._clock.now() - KEPT_FOR):
            log.info("deleted what was kept of %d servers that were left", forgotten)
