"""Where subscriptions stand in Discord, as the client knows it without asking."""

import discord

from weekbot.delivery.errors import RetryableError
from weekbot.discord_io.errors import CHANNEL_GONE, CHANNEL_UNSEEN, PERMISSION_MISSING
from weekbot.domain.shards import Shards
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import N_
from weekbot.runtime.loop import now

WAITED_FOR_SECONDS = 60.0
UNAVAILABLE = N_("the server is unavailable; Discord has an outage there")
Known = discord.abc.GuildChannel | discord.Thread


class ChannelDirectory:
    """What is not known here is asked for: nothing is, of another process's servers or before the gateway is there."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client
        self._unavailable_since: dict[int, float] = {}

    def guild(self, guild_id: int) -> discord.Guild | None:
        """The server; None if it is another process's.

        Raises RetryableError if it is one of this process's that is not known, as in its outage.
        """
        guild = self._client.get_guild(guild_id)
        if (guild is None and guild_id in shards_of(self._client)) or (guild and guild.unavailable):
            raise RetryableError(UNAVAILABLE)
        return guild

    def is_elsewhere(self, subscription: Subscription) -> bool:
        """Whether nothing is known of the server, so that Discord has to be asked.

        Raises RetryableError in the first minute of its outage. After that it may just not have been heard of its end.
        """
        guild = self._client.get_guild(subscription.guild_id)
        if guild is None or not guild.unavailable:
            self._unavailable_since.pop(subscription.guild_id, None)
            return guild is None
        if now() - self._unavailable_since.setdefault(guild.id, now()) < WAITED_FOR_SECONDS:
            raise RetryableError(UNAVAILABLE)
        return True

    def last_message_id(self, subscription: Subscription) -> int | None:
        """The cached id of the channel's last message, None if unknown. Anyone may have written or deleted it."""
        guild = self._client.get_guild(subscription.guild_id)
        channel = guild and not guild.unavailable and guild.get_channel_or_thread(subscription.channel_id)
        return getattr(channel, "last_message_id", None) if channel else None

    def may_be_forum(self, subscription: Subscription) -> bool:
        """Whether the channel is one, or nothing is known of its server."""
        guild = self._client.get_guild(subscription.guild_id)
        channel = guild and guild.get_channel(subscription.channel_id)
        return guild is None or guild.unavailable or isinstance(channel, discord.ForumChannel)

    def is_unavailable(self, subscription: Subscription) -> bool:
        """Whether the server has an outage, as far as is known; what Discord refuses meanwhile is not for good."""
        return subscription.guild_id in self._unavailable_since

    def known(self, subscription: Subscription) -> Known | None:
        """The subscribed channel, or the parent of an archived thread. None if it is gone or nothing is known of it.

        Raises RetryableError during an outage of its server.
        """
        guild = None if self.is_elsewhere(subscription) else self._client.get_guild(subscription.guild_id)
        if guild is None:
            return None
        found: Known | None = guild.get_channel_or_thread(subscription.channel_id)
        return found or guild.get_channel(subscription.parent_id or 0)

    def refusal(self, subscription: Subscription) -> str | None:
        """Why the bot may not post in the channel, according to the cache. None if it may, or if that is unknown.

        A channel that isn't cached is gone only if Discord said so before: it may be an archived thread.
        """
        channel = self.known(subscription)
        if channel is None:
            return CHANNEL_GONE if subscription.blocked == CHANNEL_GONE else None
        have, in_thread = channel.permissions_for(channel.guild.me), is_thread(channel, subscription)
        may_write = have.send_messages_in_threads if in_thread else have.send_messages
        if not have.view_channel:
            return CHANNEL_UNSEEN
        return None if may_write else PERMISSION_MISSING

    def forum(self, subscription: Subscription) -> discord.ForumChannel | None:
        """The subscribed channel where it is known to be a forum. Raises RetryableError during its server's outage."""
        channel = self.known(subscription)
        if isinstance(channel, discord.ForumChannel) and channel.id == subscription.channel_id:
            return channel
        return None  # a forum with another id is that of an archived thread

    async def forum_elsewhere(self, subscription: Subscription) -> discord.ForumChannel | None:
        """The subscribed channel, of a server that nothing is known of, if it is a forum. Raises HTTPException."""
        channel = await self._client.fetch_channel(subscription.channel_id)
        return channel if isinstance(channel, discord.ForumChannel) else None

    async def history_readable(self, subscription: Subscription) -> bool:
        """Discord answers with an empty history where the permission is missing, as if nothing had been posted.

        Raises RetryableError during an outage of its server, and HTTPException.
        """
        return (await self._permissions(subscription)).read_message_history

    async def embeds_allowed(self, subscription: Subscription) -> bool:
        """Discord silently leaves out the embeds of a message if the permission is missing.

        Raises RetryableError during an outage of the server, and HTTPException.
        """
        return (await self._permissions(subscription)).embed_links

    async def _permissions(self, subscription: Subscription) -> discord.Permissions:
        """What the bot may do in the channel: nothing if it is gone."""
        if self.is_elsewhere(subscription):
            return await self._permissions_elsewhere(subscription)
        channel = self.known(subscription)
        return channel.permissions_for(channel.guild.me) if channel else discord.Permissions.none()

    async def _permissions_elsewhere(self, subscription: Subscription) -> discord.Permissions:
        """What the bot may do in a channel of such a server; a thread has its channel's permissions."""
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


def is_thread(channel: Known, subscription: Subscription) -> bool:
    """Whether the subscription is a thread's, by its channel or that of the archived thread."""
    return isinstance(channel, discord.Thread) or channel.id != subscription.channel_id


def shards_of(client: discord.Client) -> Shards:
    """Those that this client runs; all of them before it is known how many there are."""
    count = client.shard_count or 1
    ids = client.shard_ids if isinstance(client, discord.AutoShardedClient) else None
    return Shards(frozenset(ids or range(count)), count)
