"""What would keep a subscription's next post from being as it should, from the client's cache alone."""

from collections.abc import Iterator

import discord

from weekbot.bot.permissions import Channel, may_ping, missing, permissions
from weekbot.delivery.discord_places import Places
from weekbot.delivery.outcomes import NotSentError
from weekbot.store.subscriptions import Options, Subscription

GONE = "the channel is gone, or weekbot cannot see it; `/weekly unsubscribe` ends it"


class Inspection:
    def __init__(self, client: discord.Client) -> None:
        self._places = Places(client)

    def __call__(self, subscription: Subscription) -> str | None:
        """What is wrong, a sentence without its full stop; None where all is well.

        Raises NotSentError during an outage of the server.
        """
        return "; ".join(self._problems(subscription)) or None

    def now(self, subscription: Subscription) -> str | None:
        """The same for showing: what is not known now is no problem."""
        try:
            return self(subscription)
        except NotSentError as error:
            return str(error)

    def _problems(self, subscription: Subscription) -> Iterator[str]:
        guild = self._places.guild(subscription.guild_id)
        if guild is None:
            return  # another process's: it looks itself
        channel = self._places.known(subscription)
        if isinstance(channel, Channel):
            yield from _channel_problems(channel, subscription)
        else:
            yield GONE


def _channel_problems(channel: Channel, subscription: Subscription) -> Iterator[str]:
    options = subscription.options
    if lacking := missing(channel, options, in_thread=channel.id != subscription.channel_id):
        yield f"weekbot lacks {', '.join(lacking)}"
    if isinstance(channel, discord.Thread) and channel.locked and not permissions(channel).manage_threads:
        yield "the thread is locked, and weekbot may not open it once it is archived"
    if options.publish and not (isinstance(channel, discord.TextChannel) and channel.is_news()):
        yield "posts can be published in an announcement channel only"
    if isinstance(channel, discord.ForumChannel) and _lacks_tag(channel, subscription):
        yield "the forum requires a tag, and has none that weekbot may use"
    yield from _role_problems(channel, options)


def _lacks_tag(forum: discord.ForumChannel, subscription: Subscription) -> bool:
    of_a_thread = forum.id != subscription.channel_id
    return not of_a_thread and forum.flags.require_tag and all(tag.moderated for tag in forum.available_tags)


def _role_problems(channel: Channel, options: Options) -> Iterator[str]:
    if options.ping_role_id is None:
        return
    role = channel.guild.get_role(options.ping_role_id)
    if role is None:
        yield "the role to ping is gone"
    elif not may_ping(role, channel):
        yield f"weekbot may not ping @{role.name}"
