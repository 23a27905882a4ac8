"""A server with all its channels, fetched over HTTP."""

from dataclasses import dataclass

import discord

from weekbot.discord_io.permissions import Channel


@dataclass(frozen=True)
class GuildSnapshot:
    """`me` is the bot's member; `channels` are by id, and include the active threads if they were requested."""

    guild: discord.Guild
    me: discord.Member
    channels: dict[int, discord.abc.GuildChannel | discord.Thread]

    def permissions(self, channel: Channel) -> discord.Permissions:
        """Return the bot's permissions. A thread has those of its channel, which it can't look up by itself."""
        if not isinstance(channel, discord.Thread):
            return channel.permissions_for(self.me)
        parent = self.channels.get(channel.parent_id)
        if not isinstance(parent, discord.abc.GuildChannel):
            return discord.Permissions.none()
        return discord.abc.GuildChannel.permissions_for(parent, self.me)


async def fetch_guild(client: discord.Client, guild_id: int, *, with_threads: bool = False) -> GuildSnapshot:
    """Fetch the server; the client has logged in. Raises discord.py's errors."""
    guild = await client.fetch_guild(guild_id, with_counts=False)
    me = await guild.fetch_member(client.user.id if client.user else 0)
    channels = await guild.fetch_channels()
    threads = await guild.active_threads() if with_threads else []
    return GuildSnapshot(guild, me, {each.id: each for each in (*channels, *threads)})
