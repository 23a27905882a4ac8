"""Roles that posts ping, once they are deleted: their posts go on without a ping."""

import asyncio
import logging

import discord

from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.discord_io.channels import shards_of
from weekbot.discord_io.errors import expect_list, map_errors
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.clock import Clock
from weekbot.store.pinged_roles import RolePings

log = logging.getLogger(__name__)

ANSWER_SECONDS = 20.0


class PingedRoles:
    """A role that the client doesn't know is gone only if Discord lists the server's roles without it."""

    def __init__(self, client: discord.Client, pings: RolePings, clock: Clock) -> None:
        self._client = client
        self._pings = pings
        self._clock = clock
        self._gone: set[int] = set()  # for good, as no id is given twice
        self._asking = asyncio.Lock()

    async def look(self) -> None:
        """Find roles that were deleted unseen, in the servers that are loaded."""
        for guild_id, role_id in await self._pings.roles(shards_of(self._client)):
            if await self._is_gone(guild_id, role_id):
                await self.deleted(guild_id, role_id)

    async def look_at(self, subscription: Subscription) -> None:
        """The same for the role of one subscription."""
        guild_id, role_id = subscription.guild_id, subscription.options.ping_role_id
        if role_id and await self._is_gone(guild_id, role_id):
            await self.deleted(guild_id, role_id)

    async def deleted(self, guild_id: int, role_id: int) -> None:
        """The role is no longer there."""
        if count := await self._pings.forget(guild_id, role_id, self._clock.now()):
            log.info("a deleted role is no longer pinged in %d channels", count, extra={"guild": guild_id})

    async def _is_gone(self, guild_id: int, role_id: int) -> bool:
        guild = self._client.get_guild(guild_id)
        if guild is None or guild.unavailable or guild.get_role(role_id):
            return False
        async with self._asking:  # several subscriptions may ping the role
            if role_id not in self._gone and await self._is_unlisted(guild_id, role_id):
                self._gone.add(role_id)
        return role_id in self._gone

    async def _is_unlisted(self, guild_id: int, role_id: int) -> bool:
        try:
            async with deadline_at(from_now(ANSWER_SECONDS)):
                with map_errors():
                    listed = {int(role["id"]) for role in expect_list(await self._client.http.get_roles(guild_id))}
        except (RetryableError, AmbiguousError, PermanentError, TimeoutError) as error:
            log.info("the roles cannot be read: %s", error, extra={"guild": guild_id})
            return False
        return role_id not in listed
