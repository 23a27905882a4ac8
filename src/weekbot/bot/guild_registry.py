"""Which servers the bot is in: what is kept of one that it left outlives the leaving for a while.

That a server is missing from one of Discord's answers proves nothing: its list of servers may lack some, or all.
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Protocol

from weekbot.delivery.deadline import deadline_at, from_now, has_passed
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.runtime.clock import Clock
from weekbot.runtime.loop import now
from weekbot.store.guilds import Guilds

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(days=30)
MISSED_FOR = timedelta(hours=1)
"""The time between two looks that must agree before a missing server counts as left."""
ASKED_PER_LOOK = 50  # servers, one request each
ASKING_SECONDS = 10.0  # for one server; after that time a check asks about no further ones
LISTING_SECONDS = 120.0
CONFIRMED_SECONDS = 3600.0  # how long Discord's confirmation that the bot left a server stays valid


class Directory(Protocol):
    """Discord's view of the bot's servers. Methods that send requests raise the errors of `outcomes`."""

    def shown(self) -> set[int]:
        """The ids of the servers that this process's gateway shows, also during an outage of theirs."""

    async def listed(self) -> set[int]:
        """The ids of all servers that the bot is in, of which Discord may leave some out."""

    async def excludes_bot(self, guild_id: int) -> bool:
        """Whether Discord says that the bot isn't in the server."""

    def locales(self) -> Mapping[int, str]:
        """The languages that servers have set, by their ids, as far as they are known."""


class GuildRegistry:
    """Posts go out from wherever a process runs, so what language a server speaks is kept for all processes."""

    def __init__(self, guilds: Guilds, directory: Directory, clock: Clock) -> None:
        self._guilds = guilds
        self._directory = directory
        self._clock = clock
        self._confirmed: dict[int, float] = {}
        self._asking: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def joined(self, guild_id: int) -> None:
        self._confirmed.pop(guild_id, None)
        await self._guilds.mark_joined([guild_id], self._clock.now())

    async def left(self, guild_id: int) -> None:
        log.info("left; what is kept of it is deleted in %d days", KEPT_FOR.days, extra={"guild": guild_id})
        await self._guilds.mark_left([guild_id], self._clock.now())

    async def save_locales(self) -> None:
        """Record which languages the servers that are seen here have set, as far as that has changed unseen."""
        await self._guilds.save_locales(self._directory.locales())

    async def has_left(self, guild_id: int) -> bool:
        """Whether a server that is recorded as left certainly was; if it wasn't, record that."""
        async with self._asking[guild_id]:  # all its posts may be due at once
            if now() - self._confirmed.get(guild_id, float("-inf")) < CONFIRMED_SECONDS:
                return True
            return await self._ask_whether_left(guild_id)

    async def _ask_whether_left(self, guild_id: int) -> bool:
        excluded = await self._excludes_bot(guild_id)
        if excluded:
            self._confirmed[guild_id] = now()
        elif excluded is False:
            log.warning("it was recorded as left, but the bot is there", extra={"guild": guild_id})
            await self.joined(guild_id)
        return bool(excluded)

    async def look_after(self) -> None:
        """Find out which servers were left or joined unseen, and forget those that were left long ago.

        A server was left if two looks agree that Discord neither lists nor shows it, and refuses it. Without a list
        from Discord nothing is recorded as left, and nothing is forgotten.
        """
        known, away = await self._guilds.present_ids(), await self._guilds.left_ids()
        try:
            async with deadline_at(from_now(LISTING_SECONDS)):
                there = await self._directory.listed() | self._directory.shown()
        except (RetryableError, AmbiguousError, PermanentError) as error:
            log.warning("the list of servers cannot be had: %s", error)
            return
        missing = await self._guilds.missing()
        await self._guilds.mark_joined(away & there, self._clock.now())
        await self._guilds.clear_missing(missing.keys() & there)
        await self._look_for_missing(known - there)
        await self._forget()

    async def _look_for_missing(self, absent: set[int]) -> None:
        """Ask for servers that are neither listed nor shown, those first that have been missing for long enough."""
        missing, at = await self._guilds.missing(), self._clock.now()
        ripe = {guild_id for guild_id, since in missing.items() if at - since >= MISSED_FOR}
        asked = [*_shuffled(absent & ripe), *_shuffled(absent - missing.keys())]
        for guild_id, excluded in await self._answers(asked):
            if not excluded:
                await self._guilds.clear_missing([guild_id])
            elif guild_id in ripe:
                await self.left(guild_id)
            else:
                log.info("Discord does not list it; it may have been left", extra={"guild": guild_id})
                await self._guilds.mark_missing(guild_id, at)

    async def _forget(self) -> None:
        """Forget servers that were left long ago, if they aren't there by now."""
        before, forgotten = self._clock.now() - KEPT_FOR, 0
        for guild_id, excluded in await self._answers(_shuffled(await self._guilds.left_before(before))):
            if excluded:
                forgotten += await self._guilds.forget(guild_id, before)
            else:
                await self.joined(guild_id)
        if forgotten:
            log.info("deleted what was kept of %d servers that were left", forgotten)

    async def _answers(self, guild_ids: Iterable[int]) -> list[tuple[int, bool]]:
        """For each of the first servers with a definite answer: its id, and whether Discord excludes the bot."""
        latest, answers = from_now(ASKING_SECONDS), list[tuple[int, bool]]()
        for guild_id in list(guild_ids)[:ASKED_PER_LOOK]:
            if has_passed(latest):
                break
            excluded = await self._excludes_bot(guild_id)
            if excluded is not None:
                answers.append((guild_id, excluded))
        return answers

    async def _excludes_bot(self, guild_id: int) -> bool | None:
        """None if Discord says nothing certain."""
        if guild_id in self._directory.shown():
            return False
        try:
            async with deadline_at(from_now(ASKING_SECONDS)):
                return await self._directory.excludes_bot(guild_id)
        except (RetryableError, AmbiguousError, PermanentError) as error:
            log.info("it is not known whether it was left: %s", error, extra={"guild": guild_id})
            return None


def _shuffled(guild_ids: Iterable[int]) -> list[int]:
    """Shuffles the ids, so that servers without an answer don't keep the others from being checked."""
    ids = list(guild_ids)
    random.shuffle(ids)
    return ids
