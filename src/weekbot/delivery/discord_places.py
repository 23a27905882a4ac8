"""Where subscriptions stand in Discord, as the client knows it without asking."""

import discord

from weekbot.delivery.outcomes import NotSentError
from weekbot.language import N_
from weekbot.store.shards import ALL, Shards
from weekbot.store.subscriptions import Subscription

UNAVAILABLE = N_("the server is unavailable; Discord has an outage there")
Known = discord.abc.GuildChannel | discord.Thread


class Places:
    def __init__(self, client: discord.Client) -> None:
        self._client = client

    def guild(self, guild_id: int) -> discord.Guild | None:
        """The server; None where it is another process's.

        Raises NotSentError during its outage, in which nothing can be said of its channels.
        """
        guild = self._client.get_guild(guild_id)
        if guild is None and guild_id in shards_of(self._client):
            raise NotSentError(UNAVAILABLE)
        if guild and guild.unavailable:
            raise NotSentError(UNAVAILABLE)
        return guild

    def known(self, subscription: Subscription) -> Known | None:
        """The subscribed channel; of a thread that is archived its parent. None where it is gone, or out of sight.

        Raises NotSentError during an outage of its server.
        """
        guild = self.guild(subscription.guild_id)
        if guild is None:
            return None
        found: Known | None = guild.get_channel_or_thread(subscription.channel_id)
        return found or guild.get_channel(subscription.parent_id or 0)

    def forum(self, subscription: Subscription) -> discord.ForumChannel | None:
        """The subscribed channel where it is known to be a forum. Raises NotSentError during its server's outage."""
        channel = self.known(subscription)
        if isinstance(channel, discord.ForumChannel) and channel.id == subscription.channel_id:
            return channel
        return None  # a forum with another id is that of an archived thread

    async def forum_elsewhere(self, subscription: Subscription) -> discord.ForumChannel | None:
        """The subscribed channel, of a server that is another process's, where it is a forum. Raises HTTPException."""
        channel = await self._client.fetch_channel(subscription.channel_id)
        return channel if isinstance(channel, discord.ForumChannel) else None

    def is_elsewhere(self, subscription: Subscription) -> bool:
        """Whether the server is another process's, so that nothing is known of it."""
        guild_id = subscription.guild_id
        return self._client.get_guild(guild_id) is None and guild_id not in shards_of(self._client)

    async def history_readable(self, subscription: Subscription) -> bool:
        """Discord answers with an empty history where the permission is missing, as if nothing had been posted.

        Raises NotSentError during an outage of its server, and HTTPException.
        """
        return (await self._permissions(subscription)).read_message_history

    async def embeds_allowed(self, subscription: Subscription) -> bool:
        """Discord silently leaves out the embeds of a message if the permission is missing.

        Raises NotSentError during an outage of the server, and HTTPException.
        """
        return (await self._permissions(subscription)).embed_links

    async def _permissions(self, subscription: Subscription) -> discord.Permissions:
        """What the bot may do in the channel: nothing if it is gone."""
        if self.is_elsewhere(subscription):
            return await self._permissions_elsewhere(subscription)
        channel = self.known(subscription)
        return channel.permissions_for(channel.guild.me) if channel else discord.Permissions.none()

    async def _permissions_elsewhere(self, subscription: Subscription) -> discord.Permissions:
        """What the bot may do in a channel of another process's server; a thread has its channel's permissions."""
        guild = await self._client.fetch_guild(subscription.guild_id, with_counts=False)
        channel = await guild.fetch_channel(subscription.parent_id or subscription.channel_id)
        return channel.permissions_for(await guild.fetch_member(self.own_id))

    @property
    def own_id(self) -> int:
        """The bot's, which is known after login."""
        return self._client.user.id if self._client.user else 0

    def partial(self, channel_id: int, subscription: Subscription) -> discord.PartialMessageable:
        """A channel of the subscription's server to send to, known or not."""
        return self._client.get_partial_messageable(channel_id, guild_id=subscription.guild_id)


def shards_of(client: discord.Client) -> Shards:
    """Those that this client runs."""
    shards = client.shards if isinstance(client, discord.AutoShardedClient) else {}
    return Shards(frozenset(shards), client.shard_count or 1) if shards else ALL
