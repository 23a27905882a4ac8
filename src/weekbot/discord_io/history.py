"""Looking posts up in a channel's history, by the custom ids that only they have.

What Discord answers is read as it is: of other people's messages only their ids matter, and whatever else they hold
must not keep anything from being found.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import discord

from weekbot.delivery.deadline import seconds_left
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.delivery.ports import Read
from weekbot.discord_io.channels import ChannelDirectory
from weekbot.discord_io.errors import MESSAGE_GONE, entries, map_errors
from weekbot.domain.reconciliations import Post
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import N_

UNREADABLE = N_("the history cannot be read")
NOT_PERMITTED = N_("the permission Read Message History is missing")

A_PAGE = 100
LAST_PAGE_SECONDS = 12.0  # an attempt needs this much time to read another page

Delivered = Callable[[str], tuple[str, str] | None]
"""The id of the delivery and the slug of the topic that a `custom_id` names, if it is a post's."""
Raw = Mapping[str, Any]


class History:
    def __init__(self, client: discord.Client, places: ChannelDirectory, delivered: Delivered) -> None:
        self._client = client
        self._places = places
        self._delivered = delivered

    async def read(
        self, subscription: Subscription, since: datetime, cursor: str | None, wanted: str | None = None
    ) -> Read:
        """The bot's posts since that instant, as many as can be read in time, from the cursor of the last reading on.

        If the delivery of one id is wanted, nothing is read behind it. What was read before an error counts; the next
        reading meets it again, if it lasts. Raises HistoryUnreadableError, RetryableError and AmbiguousError.
        """
        posts, reached = list[Post](), cursor
        try:
            with _unreadable_told():
                async for found, reached in await self._pages(subscription, since, cursor):
                    posts += found
                    if any(post.delivery_id == wanted for post in found):
                        return Read(posts)
                    if reached is not None and seconds_left() < LAST_PAGE_SECONDS:
                        break
        except (RetryableError, AmbiguousError):
            if reached == cursor:
                raise
        return Read(posts, reached)

    async def _pages(
        self, subscription: Subscription, since: datetime, cursor: str | None
    ) -> AsyncIterator[tuple[list[Post], str | None]]:
        """The posts of each page, and where the next one begins, None after the last."""
        if not await self._places.history_readable(subscription):
            raise HistoryUnreadableError(f"{UNREADABLE}: {NOT_PERMITTED}")
        if await self._is_forum(subscription):
            return self._in_forum(subscription, since, cursor)
        return self._in_channel(subscription, since, cursor)

    async def _is_forum(self, subscription: Subscription) -> bool:
        elsewhere = self._places.is_elsewhere(subscription)
        forum = await self._places.forum_elsewhere(subscription) if elsewhere else self._places.forum(subscription)
        return forum is not None

    async def _in_channel(
        self, subscription: Subscription, since: datetime, cursor: str | None
    ) -> AsyncIterator[tuple[list[Post], str | None]]:
        """All messages, the oldest first, to an empty page: a short one may not be the last."""
        after = int(cursor or discord.utils.time_snowflake(since))
        while page := await self._messages(subscription.channel_id, after):
            after = max(int(message["id"]) for message in page)
            yield list(self._posts_of(page, subscription.channel_id)), str(after)
        yield [], None

    async def _messages(self, channel_id: int, after: int) -> list[Raw]:
        page = entries(await self._client.http.logs_from(channel_id, A_PAGE, after=after))
        known = [message for message in page if str(message.get("id")).isdecimal()]
        if page and not known:
            raise ValueError("messages without ids")
        return known

    async def _in_forum(
        self, subscription: Subscription, since: datetime, cursor: str | None
    ) -> AsyncIterator[tuple[list[Post], str | None]]:
        """The threads that are open, then those that were archived since, the last archived first.

        Who opened a thread is in its data, unless Discord leaves it out.
        """
        before = cursor
        if before is None:
            opened = await self._client.http.get_active_threads(subscription.guild_id)
            here: list[Raw] = [
                each for each in opened["threads"] if int(each.get("parent_id") or 0) == subscription.channel_id
            ]
            before = _end_of_time(since)
            yield await self._first_posts(here, since), before
        while page := await self._archived(subscription.channel_id, before):
            before = _archived_at(page[-1])
            yield await self._first_posts(page, since), before
            if datetime.fromisoformat(before) < since:
                break  # what was archived before was opened before
        yield [], None

    async def _archived(self, channel_id: int, before: str) -> list[Raw]:
        answer = await self._client.http.get_public_archived_threads(channel_id, before=before, limit=A_PAGE)
        return entries(answer["threads"])

    async def _first_posts(self, threads: list[Raw], since: datetime) -> list[Post]:
        """A forum post's first message has the id of its thread."""
        own = str(self._places.own_id)
        recent = [each for each in threads if discord.utils.snowflake_time(int(each["id"])) >= since]
        found = [await self._first(int(each["id"])) for each in recent if each.get("owner_id", own) in (own, None)]
        return [post for messages in found for post in messages]

    async def _first(self, thread_id: int) -> list[Post]:
        try:
            message: Raw = await self._client.http.get_message(thread_id, thread_id)
        except discord.NotFound as error:
            if error.code == MESSAGE_GONE:  # somebody deleted the text
                return []
            raise
        return list(self._posts_of([message], thread_id))

    def _posts_of(self, messages: list[Raw], channel_id: int) -> Iterator[Post]:
        """The bot's own, the oldest first."""
        for message in sorted(messages, key=lambda each: int(each["id"])):
            if str((message.get("author") or {}).get("id")) == str(self._places.own_id):
                at = discord.utils.snowflake_time(int(message["id"]))
                if named := delivery_named_in(message.get("components"), self._delivered):
                    yield Post(*named, int(message["id"]), channel_id, at)


@contextmanager
def _unreadable_told() -> Iterator[None]:
    """Raises HistoryUnreadableError for refusals, which don't show what was posted."""
    try:
        with map_errors():
            yield
    except PermanentError as error:
        raise HistoryUnreadableError(f"{UNREADABLE}: {error}") from error


def _end_of_time(since: datetime) -> str:
    """Later than any thread was archived."""
    return since.replace(year=since.year + 100).isoformat()


def _archived_at(thread: Raw) -> str:
    return str(thread["thread_metadata"]["archive_timestamp"])


def delivery_named_in(components: Any, delivered: Delivered) -> tuple[str, str] | None:
    """The delivery's id and the topic's slug in a post's components; None if the message isn't a post."""
    return next(filter(None, map(delivered, custom_ids(components))), None)


def custom_ids(part: Any) -> Iterator[str]:
    """Those of a message's components, however they are nested, in the order in which they are drawn."""
    if isinstance(part, list):
        for each in part:
            yield from custom_ids(each)
    elif isinstance(part, Mapping):
        if isinstance(custom_id := part.get("custom_id"), str):
            yield custom_id
        for inner in ("components", "component", "accessory"):
            yield from custom_ids(part.get(inner))
