"""Checks for problems that would affect a subscription's next post. Only archived threads need a request."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress

import discord

from weekbot.delivery.deadline import from_now
from weekbot.delivery.errors import RetryableError
from weekbot.discord_io.channels import ChannelDirectory
from weekbot.discord_io.errors import PERMISSION_MISSING
from weekbot.discord_io.permissions import Channel, may_open, missing_permissions, permissions_in, required_permissions
from weekbot.discord_io.threads import Threads, ThreadState
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.i18n.language import N_, Language, language_of
from weekbot.runtime.errors import WeekbotError

GONE = N_("the channel is gone, or weekbot can't see it; `/weekly unsubscribe` ends its weekly topic")
THREAD_GONE = N_("the thread is gone; `/weekly unsubscribe` ends its weekly topic")
THREAD_CLOSED = N_(
    "the thread is archived and locked, and weekbot can't reopen it; unlock it, or give weekbot {permissions}"
)
INTERACTIVE_SECONDS = 1.5  # of the three that Discord waits for the response to a command


class ChannelChecks:
    def __init__(self, client: discord.Client) -> None:
        self._channels = ChannelDirectory(client)
        self._threads = Threads(client)

    async def __call__(self, subscription: Subscription) -> str | None:
        """Return the problems in the server's language, or None. Raises RetryableError if unknown, as in an outage."""
        return "; ".join(await self._problems(language_of(subscription.guild_locale), subscription)) or None

    async def summaries(self, tr: Language, subscriptions: Sequence[Subscription]) -> dict[int, str]:
        """Return the problems by subscription id, in time for an interaction's response.

        An outage is a problem. A thread whose state isn't known by then has none.
        """
        deadline = from_now(INTERACTIVE_SECONDS)
        found = await asyncio.gather(*(self._summary(tr, each, deadline) for each in subscriptions))
        return {each.id: problems for each, problems in zip(subscriptions, found, strict=True) if problems}

    def required_permissions(self, subscription: Subscription) -> list[str]:
        """Return the names of the permissions that posts need; none if the channel isn't cached."""
        with suppress(RetryableError):
            channel = self._channels.cached(subscription)
            if isinstance(channel, Channel):
                return permissions_for_posts(channel, subscription)
        return []

    async def _summary(self, tr: Language, subscription: Subscription, deadline: float) -> str:
        try:
            return "; ".join(await self._problems(tr, subscription, deadline))
        except RetryableError as error:
            return tr.error(error)

    async def _problems(self, tr: Language, subscription: Subscription, deadline: float | None = None) -> list[str]:
        if self._channels.own_guild(subscription.guild_id) is None:
            return []  # its own process checks it
        channel = self._channels.cached(subscription)
        if not isinstance(channel, Channel):
            return [tr(GONE)]
        have = permissions_in(channel)
        problems = list(channel_problems(tr, have, channel, subscription))
        if channel.id != subscription.channel_id and have.view_channel:
            problems += thread_problems(tr, have, await self._thread(subscription.channel_id, deadline))
        return problems

    async def _thread(self, thread_id: int, deadline: float | None) -> ThreadState | None:
        """Fetch an archived thread. With a deadline, a thread whose state is unknown passes for an unlocked one."""
        try:
            return await self._threads.fetch(thread_id, deadline)
        except RetryableError:
            if deadline is None:
                raise
            return ThreadState(archived=True, locked=False)


def permissions_for_posts(channel: Channel, subscription: Subscription) -> list[str]:
    """Return the names of the permissions that posts need in the channel, or in the subscribed thread of it."""
    in_thread = channel.id != subscription.channel_id
    return list(required_permissions(channel, subscription.options, in_thread=in_thread).values())


def describe_refusal(tr: Language, reason: str, required: Sequence[str]) -> str:
    """Describe a recorded refusal by Discord, which doesn't report the permission that was missing."""
    if reason != PERMISSION_MISSING:
        return tr.reason(reason)
    if required:
        return tr("weekbot was missing one of {permissions}", permissions=list(required))
    return tr("weekbot was missing a permission")


def thread_problems(tr: Language, have: discord.Permissions, thread: ThreadState | None) -> Iterator[str]:
    """Yield the problems of a subscribed thread that isn't cached; None if it is gone."""
    if thread is None:
        yield tr(THREAD_GONE)
    elif thread.archived and not may_open(have, locked=thread.locked):
        yield tr(THREAD_CLOSED, permissions=[N_("Manage Threads")])


def channel_problems(
    tr: Language, have: discord.Permissions, channel: Channel, subscription: Subscription
) -> Iterator[str]:
    """Yield the problems of a subscribed channel, or of a subscribed thread's parent, given the bot's permissions."""
    options, is_parent = subscription.options, channel.id != subscription.channel_id
    if lacking := missing_permissions(have, channel, options, in_thread=is_parent):
        yield tr("weekbot is missing {permissions}", permissions=lacking)
    if isinstance(channel, discord.Thread) and not may_open(have, locked=channel.locked):
        yield tr("the thread is locked, and weekbot can't reopen it once it's archived")
    if options.publish and not may_publish(channel):
        yield tr("posts can be published only in an announcement channel")
    if not is_parent and lacks_usable_tag(channel):
        yield tr("the forum requires a tag, but has none that weekbot can use")
    yield from _role_problems(tr, have, channel.guild, options)


def _role_problems(tr: Language, have: discord.Permissions, guild: discord.Guild, options: Options) -> Iterator[str]:
    if options.ping_role_id is None:
        return
    role = guild.get_role(options.ping_role_id)
    if role is None:
        yield tr("the role to ping is gone")
    elif not may_ping(role, have):
        yield tr("weekbot isn't allowed to ping @{role}", role=role.name)


def may_ping(role: discord.Role, have: discord.Permissions) -> bool:
    return role.mentionable or have.mention_everyone


def may_publish(channel: Channel) -> bool:
    return isinstance(channel, discord.TextChannel) and channel.is_news()


def lacks_usable_tag(channel: Channel) -> bool:
    """Return whether the channel is a forum that requires a tag but has none that the bot may use."""
    if not isinstance(channel, discord.ForumChannel) or not channel.flags.require_tag:
        return False
    return all(tag.moderated for tag in channel.available_tags)


def check_fit(channel: Channel, options: Options) -> None:
    """Raises WeekbotError if posts with these options can't be sent to the channel."""
    if options.publish and not may_publish(channel):
        raise WeekbotError("Only posts in an announcement channel can be published. Leave that option out here.")
    if options.thread and not isinstance(channel, discord.TextChannel):
        raise WeekbotError("Posts there are threads themselves, or are in one. Leave that option out here.")
    if options.pin and isinstance(channel, discord.ForumChannel):
        raise WeekbotError("Posts in a forum channel are not pinned. Leave that option out here.")
    if lacks_usable_tag(channel):
        raise WeekbotError("This forum requires a tag, but has none that I can use. Add one there, then try again.")
    if lacking := missing_permissions(permissions_in(channel), channel, options):
        raise WeekbotError(
            "I need {permissions} in {channel}. Allow that in the channel's settings, then try again.",
            permissions=lacking,
            channel=channel.mention,
        )


def check_role(role: discord.Role, channel: Channel, moderator: discord.Member) -> None:
    """Raises WeekbotError unless both the bot and the moderator may ping the role in the channel."""
    if role.is_default():
        raise WeekbotError("I don't ping everyone. Choose a role that members can give themselves.")
    if not may_ping(role, permissions_in(channel)):
        raise WeekbotError(
            "I'm not allowed to ping {role}. Allow anyone to @mention this role in its settings, then try again.",
            role=role.mention,
        )
    if not may_ping(role, channel.permissions_for(moderator)):
        raise WeekbotError(
            "You aren't allowed to ping {role} in {channel} yourself. Choose another role, or allow anyone to @mention "
            "this one in its settings.",
            role=role.mention,
            channel=channel.mention,
        )
