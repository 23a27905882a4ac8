"""What would keep a subscription's next post from being as it should, from the client's cache alone."""

from collections.abc import Iterator

import discord

from weekbot.bot.permissions import Channel, lacks_tag, may_ping, missing, permissions
from weekbot.delivery.discord_places import Places
from weekbot.delivery.outcomes import NotSentError
from weekbot.language import N_, Language, language_of
from weekbot.store.subscriptions import Options, Subscription

GONE = N_("the channel is gone, or weekbot cannot see it; `/weekly unsubscribe` ends it")


class Inspection:
    def __init__(self, client: discord.Client) -> None:
        self._places = Places(client)

    def __call__(self, subscription: Subscription) -> str | None:
        """What is wrong, in the server's language, a sentence without its full stop; None where all is well.

        Raises NotSentError during an outage of the server.
        """
        return self._listed(language_of(subscription.guild_locale), subscription)

    def now(self, tr: Language, subscription: Subscription) -> str | None:
        """The same for showing: during an outage, that there is one."""
        try:
            return self._listed(tr, subscription)
        except NotSentError as error:
            return tr.error(error)

    def _listed(self, tr: Language, subscription: Subscription) -> str | None:
        return "; ".join(self._problems(tr, subscription)) or None

    def _problems(self, tr: Language, subscription: Subscription) -> Iterator[str]:
        guild = self._places.guild(subscription.guild_id)
        if guild is None:
            return  # another process's: it looks itself
        channel = self._places.known(subscription)
        if isinstance(channel, Channel):
            yield from channel_problems(tr, permissions(channel), channel, subscription)
        else:
            yield tr(GONE)


def channel_problems(
    tr: Language, have: discord.Permissions, channel: Channel, subscription: Subscription
) -> Iterator[str]:
    """What is wrong with the subscribed channel, or with that of a thread, where the bot has these permissions."""
    options = subscription.options
    if lacking := missing(have, channel, options, in_thread=channel.id != subscription.channel_id):
        yield tr("weekbot lacks {permissions}", permissions=lacking)
    if isinstance(channel, discord.Thread) and channel.locked and not have.manage_threads:
        yield tr("the thread is locked, and weekbot may not open it once it is archived")
    if options.publish and not (isinstance(channel, discord.TextChannel) and channel.is_news()):
        yield tr("posts can be published in an announcement channel only")
    its_own = channel.id == subscription.channel_id  # else it is that of a thread
    if its_own and isinstance(channel, discord.ForumChannel) and lacks_tag(channel):
        yield tr("the forum requires a tag, and has none that weekbot may use")
    yield from _role_problems(tr, have, channel.guild, options)


def _role_problems(tr: Language, have: discord.Permissions, guild: discord.Guild, options: Options) -> Iterator[str]:
    if options.ping_role_id is None:
        return
    role = guild.get_role(options.ping_role_id)
    if role is None:
        yield tr("the role to ping is gone")
    elif not may_ping(role, have):
        yield tr("weekbot may not ping @{role}", role=role.name)
