"""Looking posts up in a channel's history, by the custom ids that only they have."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import discord

from weekbot.delivery.discord_errors import errors_told_apart
from weekbot.delivery.discord_places import Places
from weekbot.delivery.outcomes import HistoryUnreadableError, RefusedError
from weekbot.delivery.ports import Read, Sent
from weekbot.language import N_
from weekbot.store.delivery import Delivery
from weekbot.store.reconciliations import Post
from weekbot.store.subscriptions import Subscription

UNREADABLE = N_("the history cannot be read")

NOT_PERMITTED = N_("the permission Read Message History is missing")

AT_ONCE = 1000
"""Messages that are read in one attempt, in ten requests."""

Delivered = Callable[[str], tuple[str, str] | None]
"""The id of the delivery and the slug of the topic that a `custom_id` names, where it is a post's."""


class History:
    def __init__(self, places: Places, delivered: Delivered) -> None:
        self._places = places
        self._delivered = delivered

    async def find(self, delivery: Delivery, since: datetime) -> Sent | None:
        """The delivery's message, if it was posted since that instant.

        Raises HistoryUnreadableError, NotSentError and OutcomeUnknownError.
        """
        with _unreadable_told():
            async for message in self._messages(delivery.subscription, since, None):
                post = self._post(message)
                if post and post.delivery_id == delivery.id:
                    return Sent(post.message_id, post.channel_id)
        return None

    async def posts_in(self, subscription: Subscription, since: datetime) -> Read:
        """The bot's posts since that instant, among the first thousand messages.

        Raises HistoryUnreadableError, NotSentError and OutcomeUnknownError.
        """
        found, count, last = list[Post](), 0, since
        with _unreadable_told():
            async for message in self._messages(subscription, since, AT_ONCE):
                count, last = count + 1, message.created_at
                post = self._post(message)
                if post and message.author.id == self._places.own_id:
                    found.append(post)
        # The last one's millisecond may have another message, and what is read twice is recorded once.
        return Read(found, last - timedelta(milliseconds=1) if count == AT_ONCE else None)

    def _post(self, message: discord.Message) -> Post | None:
        for custom_id in _custom_ids(message.components):
            if named := self._delivered(custom_id):
                return Post(*named, message.id, message.channel.id, message.created_at)
        return None

    async def _messages(
        self, subscription: Subscription, since: datetime, limit: int | None
    ) -> AsyncIterator[discord.Message]:
        """Of a channel all messages, the oldest first; of a forum those that begin the bot's own threads."""
        if not await self._places.history_readable(subscription):
            raise HistoryUnreadableError(f"{UNREADABLE}: {NOT_PERMITTED}")
        if forum := await self._forum(subscription):
            messages = _in_forum(forum, since, self._places.own_id)
        else:
            channel = self._places.partial(subscription.channel_id, subscription)
            messages = channel.history(limit=limit, after=since)
        async for message in messages:
            yield message

    async def _forum(self, subscription: Subscription) -> discord.ForumChannel | None:
        elsewhere = self._places.is_elsewhere(subscription)
        return await self._places.forum_elsewhere(subscription) if elsewhere else self._places.forum(subscription)


@contextmanager
def _unreadable_told() -> Iterator[None]:
    """What Discord refuses is no answer to what was posted."""
    try:
        with errors_told_apart():
            yield
    except RefusedError as error:
        raise HistoryUnreadableError(f"{UNREADABLE}: {error}") from error


async def _in_forum(forum: discord.ForumChannel, since: datetime, own_id: int) -> AsyncIterator[discord.Message]:
    """The forum's threads since then, archived ones too; a post's first message has the id of its thread."""
    async for thread in _threads(forum, since, own_id):
        with suppress(discord.NotFound):  # somebody deleted the text
            yield await thread.fetch_message(thread.id)


async def _threads(forum: discord.ForumChannel, since: datetime, owner_id: int) -> AsyncIterator[discord.Thread]:
    """That member's threads in the forum that were opened since that instant."""
    active = [thread for thread in await forum.guild.active_threads() if thread.parent_id == forum.id]
    archived = [thread async for thread in forum.archived_threads(limit=None)]
    for thread in [*active, *archived]:
        if thread.owner_id == owner_id and discord.utils.snowflake_time(thread.id) >= since:
            yield thread


def _custom_ids(components: Any) -> Iterator[str]:
    for component in components:
        if custom_id := getattr(component, "custom_id", None):
            yield custom_id
        yield from _custom_ids(getattr(component, "children", ()))
