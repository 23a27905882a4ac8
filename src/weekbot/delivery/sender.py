"""The Discord side of a delivery: posting, finding, and following up, with Discord's errors told apart."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import discord

from weekbot.content.model import Topic
from weekbot.delivery.discord_errors import ALREADY_PUBLISHED, THREAD_EXISTS, errors_told_apart
from weekbot.delivery.outcomes import HistoryUnreadableError, RefusedError
from weekbot.delivery.ports import Sent
from weekbot.store.deliveries import Delivery
from weekbot.store.steps import StepName

NONCE_KNOWN = timedelta(minutes=2)
LOOK_BACK, LOOK_AHEAD = timedelta(minutes=1), timedelta(minutes=10)  # from the first attempt; clocks differ a little
THREAD_NAME_LENGTH = 100
THREAD_ARCHIVED_AFTER: Final = 10080  # minutes: a week

Render = Callable[[Topic, str, int | None], discord.ui.LayoutView]
"""Makes the post from the topic, the delivery's id and the role to ping."""
Mark = Callable[[str], str]
"""What only the post of the delivery with this id has in a `custom_id`."""


class DiscordSender:
    def __init__(self, client: discord.Client, render: Render, mark: Mark) -> None:
        self._client = client
        self._render = render
        self._mark = mark

    def nonce_known(self, delivery: Delivery) -> timedelta:
        """A forum post has no nonce."""
        return timedelta() if self._forum(delivery) else NONCE_KNOWN

    async def send(self, delivery: Delivery, topic: Topic) -> Sent:
        role_id = delivery.subscription.options.ping_role_id
        view = self._render(topic, delivery.id, role_id)
        mentions = discord.AllowedMentions.none()
        mentions.roles = [discord.Object(role_id)] if role_id else False
        forum = self._forum(delivery)
        with errors_told_apart():
            if forum:
                thread = await _post_in_forum(forum, topic, view, mentions)
                return Sent(thread.message.id, thread.thread.id)
            channel = self._channel(delivery)
            message = await channel.send(view=view, allowed_mentions=mentions, nonce=delivery.id)
            return Sent(message.id, channel.id)

    async def find(self, delivery: Delivery) -> Sent | None:
        mark, forum = self._mark(delivery.id), self._forum(delivery)
        first = delivery.first_attempt_at or delivery.slot
        if not self._history_readable(delivery):
            raise HistoryUnreadableError("the history cannot be read: Read Message History is missing")
        try:
            with errors_told_apart():
                found = self._find_in_forum(forum, first, mark) if forum else self._find(delivery, first, mark)
                return await found
        except RefusedError as error:
            raise HistoryUnreadableError(f"the history cannot be read: {error}") from error

    async def follow_up(self, step: StepName, delivery: Delivery, topic: Topic | None) -> None:
        carry_out = {StepName.THREAD: self._thread, StepName.PIN: self._pin, StepName.PUBLISH: self._publish}
        with errors_told_apart():
            await carry_out[step](delivery, topic)

    async def _thread(self, delivery: Delivery, topic: Topic | None) -> None:
        """Open a thread on the post, with the topic's question in it."""
        if topic is None or self._forum(delivery):
            return
        message = self._message(delivery)
        try:
            await message.create_thread(name=thread_name(topic), auto_archive_duration=THREAD_ARCHIVED_AFTER)
        except discord.HTTPException as error:
            if error.code != THREAD_EXISTS:
                raise
            if await self._asked_already(delivery):
                return
        thread = self._own_thread(delivery)
        await thread.send(topic.body.discuss, nonce=f"{delivery.id}q", allowed_mentions=discord.AllowedMentions.none())

    def _own_thread(self, delivery: Delivery) -> discord.PartialMessageable:
        """The thread opened on the post, which has the post's id."""
        return self._client.get_partial_messageable(delivery.message_id or 0, guild_id=delivery.subscription.guild_id)

    async def _asked_already(self, delivery: Delivery) -> bool:
        """Whether the question stands in the post's thread: an earlier attempt may have got that far."""
        own = self._client.user
        return any(
            [message.author == own async for message in self._own_thread(delivery).history(limit=20, oldest_first=True)]
        )

    async def _pin(self, delivery: Delivery, _: Topic | None) -> None:
        """Pin the post, and take the last one's pin off."""
        message = self._message(delivery)
        await message.pin()
        last = delivery.subscription.pinned_message_id
        if last and last != message.id:
            with suppress(discord.NotFound):  # somebody deleted it
                await self._channel(delivery).get_partial_message(last).unpin()

    async def _publish(self, delivery: Delivery, _: Topic | None) -> None:
        try:
            await self._message(delivery).publish()
        except discord.HTTPException as error:
            if error.code != ALREADY_PUBLISHED:
                raise

    async def _find(self, delivery: Delivery, first: datetime, mark: str) -> Sent | None:
        channel = self._channel(delivery)
        async for message in channel.history(limit=None, after=first - LOOK_BACK, before=first + LOOK_AHEAD):
            if is_marked(message, mark):
                return Sent(message.id, channel.id)
        return None

    async def _find_in_forum(self, forum: discord.ForumChannel, first: datetime, mark: str) -> Sent | None:
        """The forum's threads of that time, archived ones too; a post's first message has the id of its thread."""
        async for thread in self._threads(forum, first):
            with suppress(discord.NotFound):  # somebody deleted the text
                if is_marked(await thread.fetch_message(thread.id), mark):
                    return Sent(thread.id, thread.id)
        return None

    async def _threads(self, forum: discord.ForumChannel, first: datetime) -> AsyncIterator[discord.Thread]:
        """The bot's threads in the forum that were opened around the instant `first`."""
        active = [thread for thread in await forum.guild.active_threads() if thread.parent_id == forum.id]
        archived = [thread async for thread in forum.archived_threads(limit=None)]
        for thread in [*active, *archived]:
            opened = discord.utils.snowflake_time(thread.id)
            if thread.owner_id == forum.guild.me.id and first - LOOK_BACK <= opened <= first + LOOK_AHEAD:
                yield thread

    def _history_readable(self, delivery: Delivery) -> bool:
        """Discord answers with an empty history where the permission is missing, as if nothing had been posted."""
        guild = self._client.get_guild(delivery.subscription.guild_id)
        channel = guild and guild.get_channel_or_thread(delivery.subscription.channel_id)
        return bool(guild and channel and channel.permissions_for(guild.me).read_message_history)

    def _forum(self, delivery: Delivery) -> discord.ForumChannel | None:
        channel = self._client.get_channel(delivery.subscription.channel_id)
        return channel if isinstance(channel, discord.ForumChannel) else None

    def _channel(self, delivery: Delivery) -> discord.PartialMessageable:
        subscription = delivery.subscription
        return self._client.get_partial_messageable(subscription.channel_id, guild_id=subscription.guild_id)

    def _message(self, delivery: Delivery) -> discord.PartialMessage:
        if delivery.message_id is None or delivery.message_channel_id is None:
            raise RefusedError("the post is not known")
        guild_id = delivery.subscription.guild_id
        channel = self._client.get_partial_messageable(delivery.message_channel_id, guild_id=guild_id)
        return channel.get_partial_message(delivery.message_id)


async def _post_in_forum(
    forum: discord.ForumChannel, topic: Topic, view: discord.ui.LayoutView, mentions: discord.AllowedMentions
) -> discord.channel.ThreadWithMessage:
    tags = forum_tags(forum, topic)
    return await forum.create_thread(name=thread_name(topic), view=view, allowed_mentions=mentions, applied_tags=tags)


def forum_tags(forum: discord.ForumChannel, topic: Topic) -> list[discord.ForumTag]:
    """The tag named like the topic or its category; where the forum requires one, at least its first."""
    usable = [tag for tag in forum.available_tags if not tag.moderated]
    names = {topic.title.casefold(), topic.slug, topic.category.value}
    fitting = [tag for tag in usable if tag.name.casefold() in names]
    return (fitting or (usable if forum.flags.require_tag else []))[:1]


def thread_name(topic: Topic) -> str:
    return f"This week: {topic.title}"[:THREAD_NAME_LENGTH]


def is_marked(message: discord.Message, mark: str) -> bool:
    return any(custom_id.startswith(mark) for custom_id in _custom_ids(message.components))


def _custom_ids(components: Any) -> Iterator[str]:
    for component in components:
        if custom_id := getattr(component, "custom_id", None):
            yield custom_id
        yield from _custom_ids(getattr(component, "children", ()))
