"""Where subscriptions stand in Discord, as the client knows it without asking."""

import discord

from weekbot.delivery.outcomes import NotSentError
from weekbot.language import N_
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
        if guild is None and _is_ours(self._client, guild_id):
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
        """The subscribed channel where it is a forum. Raises NotSentError during an outage of its server."""
        channel = self.known(subscription)
        if isinstance(channel, discord.ForumChannel) and channel.id == subscription.channel_id:
            return channel
        return None  # a forum with another id is that of an archived thread

    def history_readable(self, subscription: Subscription) -> bool:
        """Discord answers with an empty history where the permission is missing, as if nothing had been posted.

        Raises NotSentError during an outage of its server.
        """
        channel = self.known(subscription)
        return bool(channel and channel.permissions_for(channel.guild.me).read_message_history)

    def partial(self, channel_id: int, subscription: Subscription) -> discord.PartialMessageable:
        """A channel of the subscription's server to send to, known or not."""
        return self._client.get_partial_messageable(channel_id, guild_id=subscription.guild_id)


def _is_ours(client: discord.Client, guild_id: int) -> bool:
    """Whether the server belongs to a shard that this client runs."""
    shards = client.shards if isinstance(client, discord.AutoShardedClient) else {}
    return not shards or (guild_id >> 22) % (client.shard_count or 1) in shards
