"""Problems that would spoil a subscription's next post. Discord is asked for archived threads only."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress

import discord

from weekbot.delivery.deadline import from_now
from weekbot.delivery.errors import RetryableError
from weekbot.discord_io.channels import ChannelDirectory
from weekbot.discord_io.errors import PERMISSION_MISSING
from weekbot.discord_io.notice_channel import may_write
from weekbot.discord_io.permissions import MANAGE_THREADS, Channel, lacks_tag, may_ping, missing, needed, permissions
from weekbot.discord_io.threads import Threads, ThreadState
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.i18n.language import N_, Language, language_of
from weekbot.runtime.errors import WeekbotError

GONE = N_("the channel is gone, or weekbot cannot see it; `/weekly unsubscribe` ends it")
THREAD_GONE = N_("the thread is gone; `/weekly unsubscribe` ends it")
THREAD_CLOSED = N_(
    "the thread is archived and locked, and weekbot may not open it; unlock it, or give weekbot {permissions}"
)
PERMISSION_LACKED = N_("weekbot lacked a permission")
SHOWN_WITHIN_SECONDS = 1.5  # of the three that Discord waits for an answer to a command


class ChannelChecks:
    def __init__(self, client: discord.Client) -> None:
        self._places = ChannelDirectory(client)
        self._threads = Threads(client)

    async def __call__(self, subscription: Subscription) -> str | None:
        """What is wrong, in the server's language, a sentence without its full stop; None where all is well.

        Raises RetryableError if that is unknown, as during an outage of the server.
        """
        return "; ".join(await self._problems(language_of(subscription.guild_locale), subscription)) or None

    async def now(self, tr: Language, subscriptions: Sequence[Subscription]) -> dict[int, str]:
        """The same for showing, by the id of the subscription, as far as anything is wrong.

        Returns in time for an answer: a thread of which Discord says nothing until then counts as well. During an
        outage of the server, the trouble is that there is one.
        """
        latest = from_now(SHOWN_WITHIN_SECONDS)
        found = await asyncio.gather(*(self._shown(tr, each, latest) for each in subscriptions))
        return {each.id: trouble for each, trouble in zip(subscriptions, found, strict=True) if trouble}

    def needs(self, subscription: Subscription) -> list[str]:
        """The names of the permissions that its posts need; none if the channel is not known."""
        with suppress(RetryableError):
            channel = self._places.known(subscription)
            if isinstance(channel, Channel):
                return needs_in(channel, subscription)
        return []

    async def _shown(self, tr: Language, subscription: Subscription, latest: float) -> str:
        try:
            return "; ".join(await self._problems(tr, subscription, latest))
        except RetryableError as error:
            return tr.error(error)

    async def _problems(self, tr: Language, subscription: Subscription, latest: float | None = None) -> list[str]:
        if self._places.guild(subscription.guild_id) is None:
            return []  # another process's: it looks itself
        channel = self._places.known(subscription)
        if not isinstance(channel, Channel):
            return [tr(GONE)]
        have = permissions(channel)
        problems = list(channel_problems(tr, have, channel, subscription))
        if channel.id != subscription.channel_id and have.view_channel:
            problems += thread_problems(tr, have, await self._thread(subscription.channel_id, latest))
        return problems

    async def _thread(self, thread_id: int, latest: float | None) -> ThreadState | None:
        """A thread that is not in the cache; if it need not be known in time, RetryableError is raised."""
        try:
            return await self._threads.look(thread_id, latest)
        except RetryableError:
            if latest is None:
                raise
            return ThreadState(archived=True, locked=False)


def needs_in(channel: Channel, subscription: Subscription) -> list[str]:
    """The names of the permissions that posts need in the channel, or in a thread of it."""
    in_thread = channel.id != subscription.channel_id
    return list(needed(channel, subscription.options, in_thread=in_thread).values())


def refusal(tr: Language, reason: str, needs: Sequence[str]) -> str:
    """Why Discord refused something, as it was recorded; which permission was missing Discord does not say."""
    if reason != PERMISSION_MISSING:
        return tr.reason(reason)
    return tr("weekbot lacked one of {permissions}", permissions=list(needs)) if needs else tr(PERMISSION_LACKED)


def thread_problems(tr: Language, have: discord.Permissions, thread: ThreadState | None) -> Iterator[str]:
    """The problems of a subscribed thread that is not active; None is one that is gone."""
    if thread is None:
        yield tr(THREAD_GONE)
    elif thread.archived and thread.locked and not have.manage_threads:
        yield tr(THREAD_CLOSED, permissions=[MANAGE_THREADS])


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


def check_fit(channel: Channel, options: Options) -> None:
    """Raises WeekbotError if posts with these options can't be sent to the channel."""
    if options.publish and not (isinstance(channel, discord.TextChannel) and channel.is_news()):
        raise WeekbotError("Only posts in an announcement channel can be published. Leave that option out here.")
    if options.thread and not isinstance(channel, discord.TextChannel):
        raise WeekbotError("Every post is a thread of its own there, or in one. Leave that option out here.")
    if options.pin and isinstance(channel, discord.ForumChannel):
        raise WeekbotError("Posts in a forum channel are not pinned. Leave that option out here.")
    if isinstance(channel, discord.ForumChannel) and lacks_tag(channel):
        raise WeekbotError("This forum requires a tag, and has none that I may use. Add one there, then try again.")
    if lacking := missing(permissions(channel), channel, options):
        raise WeekbotError(
            "I lack {permissions} in {channel}. Give me that in the channel's settings, then try again.",
            permissions=lacking,
            channel=channel.mention,
        )


def check_role(role: discord.Role, channel: Channel, moderator: discord.Member) -> None:
    """Raises WeekbotError unless both the bot and the moderator may ping the role in the channel."""
    if role.is_default():
        raise WeekbotError("I do not ping everyone. Choose a role that members take on themselves.")
    if not may_ping(role, permissions(channel)):
        raise WeekbotError(
            "I may not ping {role}. Allow anyone to @mention this role in its settings, then try again.",
            role=role.mention,
        )
    if not may_ping(role, channel.permissions_for(moderator)):
        raise WeekbotError(
            "You may not ping {role} in {channel} yourself. Choose another role, or allow anyone to "
            "@mention this one in its settings.",
            role=role.mention,
            channel=channel.mention,
        )


def check_notice_channel(channel: discord.TextChannel) -> None:
    if not may_write(channel):
        raise WeekbotError(
            "I may not write in {channel}. Give me {permissions} there, then try again.",
            channel=channel.mention,
            permissions=["View Channel", "Send Messages"],
        )
