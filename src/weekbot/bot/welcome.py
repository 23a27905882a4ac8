"""The first message in a server, which names the most important commands."""

import logging

import discord

from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.discord_io.errors import map_errors
from weekbot.discord_io.mentions import no_mentions
from weekbot.discord_io.permissions import may_write
from weekbot.i18n.language import N_, language_of
from weekbot.runtime.clock import Clock
from weekbot.store.guilds import Guilds

log = logging.getLogger(__name__)

WELCOME = N_(
    "👋 I post one Python topic each week. Anyone with *Manage Server* can start it with `/weekly subscribe` in any "
    "channel. Everyone can look things up with `/framework`; `/help` shows the rest."
)


class Welcome:
    """Greets each server at most once, even if the message may not have arrived."""

    def __init__(self, guilds: Guilds, clock: Clock) -> None:
        self._guilds = guilds
        self._clock = clock

    async def greet(self, guild: discord.Guild) -> None:
        channel = guild.system_channel
        if not (channel and may_write(channel) and await self._guilds.mark_welcomed(guild.id, self._clock.now())):
            return
        try:
            with map_errors():
                await channel.send(language_of(str(guild.preferred_locale))(WELCOME), allowed_mentions=no_mentions())
        except (RetryableError, AmbiguousError, PermanentError) as error:
            log.info("the server could not be greeted: %s", error, extra={"guild": guild.id})
