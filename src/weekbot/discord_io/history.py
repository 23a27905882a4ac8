"""Search of a channel's history for weekly posts, in raw payloads: other messages must not prevent finding them."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import discord

from weekbot.delivery.deadline import seconds_left
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.delivery.ports import HistoryPage
from weekbot.discord_io.channels import ChannelDirectory
from weekbot.discord_io.errors import MESSAGE_GONE, SuppressCodes, expect_list, map_errors
from weekbot.domain.reconciliations import Post
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import N_

UNREADABLE = N_("the history cannot be read")
NOT_PERMITTED = N_("the permission Read Message History is missing")

PAGE_SIZE = 100
PAGE_SECONDS = 12.0  # needed to read another page

CustomIdParser = Callable[[str], tuple[str, str] | None]  # gives the delivery's id and the topic's slug, if any
Raw = Mapping[str, Any]
Pages = AsyncIterator[tuple[list[Post], str | None]]
"""The posts of each page, and the cursor of the next one, which is None after the last."""


@dataclass(frozen=True)
class ChannelHistory:
    client: discord.Client
    channels: ChannelDirectory
    parse_custom_id: CustomIdParser

    async def read(
        self, subscription: Subscription, since: datetime, cursor: str | None, wanted: str | None = None
    ) -> HistoryPage:
        """Return as many of the bot's posts as can be read in time or before an error, up to the `wanted` delivery's.

        Raises HistoryUnreadableError, RetryableError and AmbiguousError if nothing can be read.
        """
        posts, reached = list[Post](), cursor
        try:
            with map_errors():
                async for found, reached in await self._pages(subscription, since, cursor):
                    posts += found
                    if any(post.delivery_id == wanted for post in found):
                        return HistoryPage(posts)
                    if reached is not None and seconds_left() < PAGE_SECONDS:
                        break
        except PermanentError as error:
            raise HistoryUnreadableError(f"{UNREADABLE}: {error}") from error
        except (RetryableError, AmbiguousError):
            if reached == cursor:
                raise
        return HistoryPage(posts, reached)

    async def _pages(self, subscription: Subscription, since: datetime, cursor: str | None) -> Pages:
        # Without the permission, Discord returns an empty history.
        if not (await self.channels.permissions(subscription)).read_message_history:
            raise HistoryUnreadableError(f"{UNREADABLE}: {NOT_PERMITTED}")
        uncached = self.channels.is_uncached(subscription)
        forum = await self.channels.fetch_forum(subscription) if uncached else self.channels.cached_forum(subscription)
        return (self._forum_pages if forum else self._channel_pages)(subscription, since, cursor)

    async def _channel_pages(self, subscription: Subscription, since: datetime, cursor: str | None) -> Pages:
        """Yield the oldest messages first. Only an empty page is the last: a short one may not be."""
        after = int(cursor or discord.utils.time_snowflake(since))
        while page := await self._messages(subscription.channel_id, after):
            after = max(int(message["id"]) for message in page)
            yield list(self._posts_of(page, subscription.channel_id)), str(after)
        yield [], None

    async def _messages(self, channel_id: int, after: int) -> list[Raw]:
        page = expect_list(await self.client.http.logs_from(channel_id, PAGE_SIZE, after=after))
        messages = [message for message in page if str(message.get("id")).isdecimal()]
        if page and not messages:
            raise ValueError("messages without ids")
        return messages

    async def _forum_pages(self, subscription: Subscription, since: datetime, cursor: str | None) -> Pages:
        """Yield the active threads, then those archived since, the most recently archived first."""
        before = cursor
        if before is None:
            listed: Sequence[Raw] = (await self.client.http.get_active_threads(subscription.guild_id))["threads"]
            active = [each for each in listed if int(each.get("parent_id") or 0) == subscription.channel_id]
            before = since.replace(year=since.year + 100).isoformat()  # later than any thread was archived
            yield await self._first_posts(active, since), before
        archived = self.client.http.get_public_archived_threads
        while page := expect_list((await archived(subscription.channel_id, before=before, limit=PAGE_SIZE))["threads"]):
            before = str(page[-1]["thread_metadata"]["archive_timestamp"])
            yield await self._first_posts(page, since), before
            if datetime.fromisoformat(before) < since:
                break  # the other threads were archived, and so opened, even before
        yield [], None

    async def _first_posts(self, threads: list[Raw], since: datetime) -> list[Post]:
        bot, posts = str(self.channels.bot_id), list[Post]()
        for thread in threads:
            thread_id = int(thread["id"])  # also that of a forum post's first message
            is_own = thread.get("owner_id", bot) in (bot, None)  # Discord may leave it out
            if is_own and discord.utils.snowflake_time(thread_id) >= since:
                with SuppressCodes(MESSAGE_GONE):
                    posts += self._posts_of([await self.client.http.get_message(thread_id, thread_id)], thread_id)
        return posts

    def _posts_of(self, messages: list[Raw], channel_id: int) -> Iterator[Post]:
        """Yield the bot's posts, the oldest first."""
        for message in sorted(messages, key=lambda each: int(each["id"])):
            if str((message.get("author") or {}).get("id")) == str(self.channels.bot_id):
                at = discord.utils.snowflake_time(int(message["id"]))
                if named := find_delivery(message.get("components"), self.parse_custom_id):
                    yield Post(*named, int(message["id"]), channel_id, at)


def find_delivery(components: Any, parse_custom_id: CustomIdParser) -> tuple[str, str] | None:
    """Return the delivery's id and the topic's slug in a message's components; None if it isn't a post."""
    return next(filter(None, map(parse_custom_id, custom_ids(components))), None)


def custom_ids(component: Any) -> Iterator[str]:
    """Yield the custom ids of nested components in the order in which they are shown."""
    if isinstance(component, list):
        for each in component:
            yield from custom_ids(each)
    elif isinstance(component, Mapping):
        if isinstance(custom_id := component.get("custom_id"), str):
            yield custom_id
        for key in ("components", "component", "accessory"):
            yield from custom_ids(component.get(key))
