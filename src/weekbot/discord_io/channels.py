"""The channels of subscriptions: from discord.py's cache, or fetched if this process doesn't have their server."""

import discord

from weekbot.delivery.errors import PermanentError, RetryableError
from weekbot.discord_io.errors import CHANNEL_GONE, CHANNEL_UNSEEN, PERMISSION_MISSING
from weekbot.discord_io.permissions import may_send, permissions_in
from weekbot.domain.deliveries import Delivery
from weekbot.domain.shards import Shards
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import N_
from weekbot.runtime.loop import now

OUTAGE_WAIT_SECONDS = 60.0
UNAVAILABLE = N_("the server is unavailable; Discord has an outage there")
GuildChannel = discord.abc.GuildChannel | discord.Thread


class ChannelDirectory:
    """Servers of other processes aren't cached, nor is any before the gateway connects."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client
        self._unavailable_since: dict[int, float] = {}

    def own_guild(self, guild_id: int) -> discord.Guild | None:
        """Return the server; None if it is another process's. Raises RetryableError if uncached, as in an outage."""
        guild = self._client.get_guild(guild_id)
        if (guild is None and guild_id in shards_of(self._client)) or (guild and guild.unavailable):
            raise RetryableError(UNAVAILABLE)
        return guild

    def is_uncached(self, subscription: Subscription) -> bool:
        """Return whether the channel must be fetched. Raises RetryableError in the first minute of an outage."""
        guild = self._client.get_guild(subscription.guild_id)
        if guild is None or not guild.unavailable:
            self._unavailable_since.pop(subscription.guild_id, None)
            return guild is None
        if now() - self._unavailable_since.setdefault(guild.id, now()) < OUTAGE_WAIT_SECONDS:
            raise RetryableError(UNAVAILABLE)
        return True  # the outage's end may have been missed

    def last_message_id(self, subscription: Subscription) -> int | None:
        """Return the cached id, or None if it is unknown. Anyone may have written or deleted the message."""
        guild = self._available_guild(subscription)
        return getattr(guild and guild.get_channel_or_thread(subscription.channel_id), "last_message_id", None)

    def may_be_forum(self, subscription: Subscription) -> bool:
        guild = self._available_guild(subscription)
        return guild is None or isinstance(guild.get_channel(subscription.channel_id), discord.ForumChannel)

    def _available_guild(self, subscription: Subscription) -> discord.Guild | None:
        guild = self._client.get_guild(subscription.guild_id)
        return None if guild is None or guild.unavailable else guild

    def is_unavailable(self, subscription: Subscription) -> bool:
        """Return whether the server has an outage, during which Discord's refusals aren't permanent."""
        return subscription.guild_id in self._unavailable_since

    def cached(self, subscription: Subscription) -> GuildChannel | None:
        """Return the channel or an archived thread's parent; None if gone or uncached. Raises RetryableError."""
        guild = self._client.get_guild(subscription.guild_id)
        if self.is_uncached(subscription) or guild is None:
            return None
        found: GuildChannel | None = guild.get_channel_or_thread(subscription.channel_id)
        return found or guild.get_channel(subscription.parent_id or 0)

    def refusal(self, subscription: Subscription) -> str | None:
        """Return the reason why the bot may not post, or None if it may or if that is unknown."""
        channel = self.cached(subscription)
        if channel is None:  # perhaps an archived thread
            return CHANNEL_GONE if subscription.blocked == CHANNEL_GONE else None
        have = permissions_in(channel)
        if not have.view_channel:
            return CHANNEL_UNSEEN
        in_thread = isinstance(channel, discord.Thread) or channel.id != subscription.channel_id
        return None if may_send(have, in_thread=in_thread) else PERMISSION_MISSING

    def cached_forum(self, subscription: Subscription) -> discord.ForumChannel | None:
        """Raises RetryableError during the server's outage."""
        channel = self.cached(subscription)
        if isinstance(channel, discord.ForumChannel) and channel.id == subscription.channel_id:
            return channel
        return None  # a forum with another id is the parent of an archived thread

    async def fetch_forum(self, subscription: Subscription) -> discord.ForumChannel | None:
        """Raises HTTPException."""
        channel = await self._client.fetch_channel(subscription.channel_id)
        return channel if isinstance(channel, discord.ForumChannel) else None

    async def permissions(self, subscription: Subscription) -> discord.Permissions:
        """Return the bot's permissions: none if the channel is gone. Raises RetryableError and HTTPException."""
        if not self.is_uncached(subscription):
            channel = self.cached(subscription)
            return permissions_in(channel) if channel else discord.Permissions.none()
        guild = await self._client.fetch_guild(subscription.guild_id, with_counts=False)
        fetched = await guild.fetch_channel(subscription.parent_id or subscription.channel_id)
        return fetched.permissions_for(await guild.fetch_member(self.bot_id))

    @property
    def bot_id(self) -> int:
        """The bot's user id; 0 before login."""
        return self._client.user.id if self._client.user else 0

    def partial(self, channel_id: int, subscription: Subscription) -> discord.PartialMessageable:
        """Return a channel of the subscription's server to send to, cached or not."""
        return self._client.get_partial_messageable(channel_id, guild_id=subscription.guild_id)

    def message(self, delivery: Delivery) -> discord.PartialMessage:
        """Return the delivery's post. Raises PermanentError if none is recorded."""
        if delivery.message_id is None or delivery.message_channel_id is None:
            raise PermanentError("the post is not known")
        return self.partial(delivery.message_channel_id, delivery.subscription).get_partial_message(delivery.message_id)


def shards_of(client: discord.Client) -> Shards:
    """Return the client's shards; all of them while their number is unknown."""
    count = client.shard_count or 1
    ids = client.shard_ids if isinstance(client, discord.AutoShardedClient) else None
    return Shards(frozenset(ids or range(count)), count)
