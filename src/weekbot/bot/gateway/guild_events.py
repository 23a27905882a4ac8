"""Handlers for the gateway's events about servers."""

import logging
from dataclasses import dataclass

import discord
from discord.abc import GuildChannel

from weekbot.bot.gateway.client import Weekbot
from weekbot.bot.welcome import Welcome
from weekbot.delivery.reopening import Reopening
from weekbot.discord_io.guild_registry import GuildRegistry
from weekbot.discord_io.pinged_roles import PingedRoles
from weekbot.store.guilds import Guilds

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class GuildEvents:
    """Each handler has the name of its event. Changes of a server may let refused posts succeed."""

    client: Weekbot
    guilds: Guilds
    registry: GuildRegistry
    welcome: Welcome
    pinged_roles: PingedRoles
    reopening: Reopening

    def listen(self) -> None:
        """Add the handlers to the client."""
        for name in dir(self):
            if name.startswith("on_"):
                setattr(self.client, name, getattr(self, name))

    async def on_ready(self) -> None:
        log.info("online in %d servers; invite with %s", len(self.client.guilds), self.client.invite_link())
        try:
            await self.registry.save_locales()
        finally:  # they are saved again every hour
            self.client.came_online.set()
        await self.pinged_roles.check_all()

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """Runs at the start and after an outage, during which no events arrive."""
        self.reopening.changed(guild.id)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        self.reopening.changed(guild.id)
        await self.registry.joined(guild.id)
        await self.welcome.greet(guild)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        await self.registry.left(guild.id)

    async def on_guild_update(self, before: discord.Guild, after: discord.Guild) -> None:
        if before.preferred_locale != after.preferred_locale:
            await self.guilds.save_locales({after.id: str(after.preferred_locale)})

    async def on_guild_role_delete(self, role: discord.Role) -> None:
        await self.pinged_roles.forget(role.guild.id, role.id)

    async def on_guild_channel_update(self, _: object, after: GuildChannel | discord.Role | discord.Member) -> None:
        self.reopening.changed(after.guild.id)

    on_guild_role_update = on_guild_channel_update
    on_member_update = on_guild_channel_update
    """Runs when a role of the bot changes: the bot is the only cached member."""

    async def on_raw_thread_update(self, thread: discord.RawThreadUpdateEvent) -> None:
        self.reopening.changed(thread.guild_id)
