"""Looking a post up in a channel's history, by the custom id that only it has."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import discord

from weekbot.delivery.discord_errors import errors_told_apart
from weekbot.delivery.discord_places import Places
from weekbot.delivery.outcomes import HistoryUnreadableError, RefusedError
from weekbot.delivery.ports import Sent
from weekbot.language import N_
from weekbot.store.delivery import Delivery
from weekbot.store.subscriptions import Subscription

UNREADABLE = N_("the history cannot be read")

NOT_PERMITTED = N_("the permission Read Message History is missing")

Mark = Callable[[str], str]
"""What only the post of the delivery with this id has in a `custom_id`."""


class History:
    def __init__(self, places: Places, mark: Mark) -> None:
        self._places = places
        self._mark = mark

    async def find(self, delivery: Delivery, since: datetime) -> Sent | None:
        """The delivery's message, if it was posted since that instant.

        Raises HistoryUnreadableError, NotSentError and OutcomeUnknownError.
        """
        subscription = delivery.subscription
        try:
            with errors_told_apart():
                if not await self._places.history_readable(subscription):
                    raise HistoryUnreadableError(f"{UNREADABLE}: {NOT_PERMITTED}")
                forum, mark = await self._forum(subscription), self._mark(delivery.id)
                return await (self._find_in_forum(forum, since, mark) if forum else self._find(delivery, since, mark))
        except RefusedError as error:
            raise HistoryUnreadableError(f"{UNREADABLE}: {error}") from error

    async def _forum(self, subscription: Subscription) -> discord.ForumChannel | None:
        elsewhere = self._places.is_elsewhere(subscription)
        return await self._places.forum_elsewhere(subscription) if elsewhere else self._places.forum(subscription)

    async def _find(self, delivery: Delivery, since: datetime, mark: str) -> Sent | None:
        channel = self._places.partial(delivery.subscription.channel_id, delivery.subscription)
        async for message in channel.history(limit=None, after=since):
            if is_marked(message, mark):
                return Sent(message.id, channel.id)
        return None

    async def _find_in_forum(self, forum: discord.ForumChannel, since: datetime, mark: str) -> Sent | None:
        """The forum's threads since then, archived ones too; a post's first message has the id of its thread."""
        async for thread in _threads(forum, since, self._places.own_id):
            with suppress(discord.NotFound):  # somebody deleted the text
                if is_marked(await thread.fetch_message(thread.id), mark):
                    return Sent(thread.id, thread.id)
        return None


async def _threads(forum: discord.ForumChannel, since: datetime, owner_id: int) -> AsyncIterator[discord.Thread]:
    """That member's threads in the forum that were opened since that instant."""
    active = [thread for thread in await forum.guild.active_threads() if thread.parent_id == forum.id]
    archived = [thread async for thread in forum.archived_threads(limit=None)]
    for thread in [*active, *archived]:
        if thread.owner_id == owner_id and discord.utils.snowflake_time(thread.id) >= since:
            yield thread


def is_marked(message: discord.Message, mark: str) -> bool:
    return any(custom_id.startswith(mark) for custom_id in _custom_ids(message.components))


def _custom_ids(components: Any) -> Iterator[str]:
    for component in components:
        if custom_id := getattr(component, "custom_id", None):
            yield custom_id
        yield from _custom_ids(getattr(component, "children", ()))
