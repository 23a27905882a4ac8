"""Detects deleted roles, so that posts no longer ping them."""

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

REQUEST_SECONDS = 20.0


class PingedRoles:
    """A role that isn't cached counts as deleted only if Discord's list of the server's roles confirms it."""

    def __init__(self, client: discord.Client, pings: RolePings, clock: Clock) -> None:
        self._client = client
        self._pings = pings
        self._clock = clock
        self._deleted: set[int] = set()
        self._lock = asyncio.Lock()

    async def check_all(self) -> None:
        """Check the roles of all cached servers, where one may have been deleted while the bot was offline."""
        for guild_id, role_id in await self._pings.roles(shards_of(self._client)):
            if await self._is_deleted(guild_id, role_id):
                await self.forget(guild_id, role_id)

    async def check(self, subscription: Subscription) -> None:
        guild_id, role_id = subscription.guild_id, subscription.options.ping_role_id
        if role_id and await self._is_deleted(guild_id, role_id):
            await self.forget(guild_id, role_id)

    async def forget(self, guild_id: int, role_id: int) -> None:
        if count := await self._pings.forget(guild_id, role_id, self._clock.now()):
            log.info("a deleted role is no longer pinged in %d channels", count, extra={"guild": guild_id})

    async def _is_deleted(self, guild_id: int, role_id: int) -> bool:
        guild = self._client.get_guild(guild_id)
        if guild is None or guild.unavailable or guild.get_role(role_id):
            return False
        async with self._lock:  # several subscriptions may ping the role
            if role_id not in self._deleted and await self._is_unlisted(guild_id, role_id):
                self._deleted.add(role_id)
        return role_id in self._deleted

    async def _is_unlisted(self, guild_id: int, role_id: int) -> bool:
        try:
            async with deadline_at(from_now(REQUEST_SECONDS)):
                with map_errors():
                    listed = {int(role["id"]) for role in expect_list(await self._client.http.get_roles(guild_id))}
        except (RetryableError, AmbiguousError, PermanentError, TimeoutError) as error:
            log.info("the server's roles are unavailable: %s", error, extra={"guild": guild_id})
            return False
        return role_id not in listed
