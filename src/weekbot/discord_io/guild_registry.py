"""The servers that the bot is in. One that Discord doesn't list wasn't necessarily left: the list may lack any."""

import asyncio
import logging
import math
import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from weekbot.delivery.deadline import deadline_at, from_now, has_passed
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.runtime.clock import Clock
from weekbot.runtime.loop import now
from weekbot.store.guilds import Guilds

log = logging.getLogger(__name__)

RETENTION = timedelta(days=30)
MISSING_FOR = timedelta(hours=1)  # between two checks that must agree before a missing server counts as left
MAX_REQUESTS = 50  # in each check, one for each server
REQUEST_SECONDS = 10.0  # for one server; after that time a check sends no further requests
LISTING_SECONDS = 120.0
CONFIRMED_SECONDS = 3600.0  # how long Discord's confirmation that the bot left a server stays valid


class GuildDirectory(Protocol):
    """Discord's view of the bot's servers. Coroutines raise delivery errors."""

    def cached_guild_ids(self) -> set[int]: ...

    async def fetch_guild_ids(self) -> set[int]: ...

    async def excludes_bot(self, guild_id: int) -> bool: ...

    def guild_locales(self) -> Mapping[int, str]: ...


class GuildRegistry:
    """Records joined and left servers, and their languages, which processes on other shards need for posts."""

    def __init__(self, guilds: Guilds, directory: GuildDirectory, clock: Clock) -> None:
        self._guilds = guilds
        self._directory = directory
        self._clock = clock
        self._confirmed: dict[int, float] = {}
        self._locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def joined(self, guild_id: int) -> None:
        self._confirmed.pop(guild_id, None)
        await self._guilds.mark_joined([guild_id], self._clock.now())

    async def left(self, guild_id: int) -> None:
        log.info("left the server; its data is deleted in %d days", RETENTION.days, extra={"guild": guild_id})
        await self._guilds.mark_left([guild_id], self._clock.now())

    async def save_locales(self) -> None:
        """Record the locales of the available servers, which may have changed while the bot was offline."""
        await self._guilds.save_locales(self._directory.guild_locales())

    async def has_left(self, guild_id: int) -> bool:
        """Return whether Discord confirms that the bot left the server; otherwise, record it as joined."""
        async with self._locks[guild_id]:  # all posts of the server may be due at once
            if now() - self._confirmed.get(guild_id, -math.inf) < CONFIRMED_SECONDS:
                return True
            excluded = await self._excludes_bot(guild_id)
            if excluded:
                self._confirmed[guild_id] = now()
            elif excluded is False:
                log.warning("the server was recorded as left, but the bot is in it", extra={"guild": guild_id})
                await self.joined(guild_id)
            return bool(excluded)

    async def reconcile(self) -> None:
        """Find servers that were left or joined while the bot was offline, and delete data of those left long ago."""
        known, left = await self._guilds.present_ids(), await self._guilds.left_ids()
        try:
            async with deadline_at(from_now(LISTING_SECONDS)):
                present = await self._directory.fetch_guild_ids() | self._directory.cached_guild_ids()
        except (RetryableError, AmbiguousError, PermanentError) as error:
            log.warning("the list of servers is unavailable: %s", error)
            return  # without it, nothing is recorded as left or deleted
        missing = await self._guilds.missing()
        await self._guilds.mark_joined(left & present, self._clock.now())
        await self._guilds.clear_missing(missing.keys() & present)
        await self._check_missing(known - present)
        await self._delete_expired()

    async def _check_missing(self, absent: set[int]) -> None:
        """Ask about servers that are neither listed nor cached, beginning with those missing for long enough."""
        missing, at = await self._guilds.missing(), self._clock.now()
        long_missing = {guild_id for guild_id, since in missing.items() if at - since >= MISSING_FOR}
        asked = [*_shuffled(absent & long_missing), *_shuffled(absent - missing.keys())]
        for guild_id, excluded in await self._ask(asked):
            if not excluded:
                await self._guilds.clear_missing([guild_id])
            elif guild_id in long_missing:
                await self.left(guild_id)
            else:
                log.info("Discord doesn't list the server; the bot may have left it", extra={"guild": guild_id})
                await self._guilds.mark_missing(guild_id, at)

    async def _delete_expired(self) -> None:
        """Delete the data of servers that were left long ago, unless the bot is back in them."""
        before, deleted = self._clock.now() - RETENTION, 0
        for guild_id, excluded in await self._ask(_shuffled(await self._guilds.left_before(before))):
            if excluded:
                deleted += await self._guilds.forget(guild_id, before)
            else:
                await self.joined(guild_id)
        if deleted:
            log.info("deleted the data of %d servers that were left", deleted)

    async def _ask(self, guild_ids: Sequence[int]) -> list[tuple[int, bool]]:
        """Return the ids of servers with a definite answer, and whether the bot isn't in them."""
        deadline, answers = from_now(REQUEST_SECONDS), list[tuple[int, bool]]()
        for guild_id in guild_ids[:MAX_REQUESTS]:
            if not has_passed(deadline) and (excluded := await self._excludes_bot(guild_id)) is not None:
                answers.append((guild_id, excluded))
        return answers

    async def _excludes_bot(self, guild_id: int) -> bool | None:
        """Return None if Discord gives no definite answer."""
        if guild_id in self._directory.cached_guild_ids():
            return False
        try:
            async with deadline_at(from_now(REQUEST_SECONDS)):
                return await self._directory.excludes_bot(guild_id)
        except (RetryableError, AmbiguousError, PermanentError) as error:
            log.info("Discord doesn't confirm whether the bot left the server: %s", error, extra={"guild": guild_id})
            return None


def _shuffled(guild_ids: Collection[int]) -> list[int]:
    """Shuffle the ids, so that servers without an answer don't keep the others from being checked."""
    return random.sample(list(guild_ids), len(guild_ids))
