"""Footnotes of lookups: the channel's last post of the topic, found within a time limit."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from weekbot.bot.channel_ref import ChannelRef
from weekbot.bot.searches import Searches, failure
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.domain.deliveries import Delivery

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.08  # so that the whole response takes less than 0.1

EffectiveChannel = Callable[[int, int | None], Awaitable[int]]
"""Returns the id of the channel whose subscription applies to a channel, or to a thread and its parent."""


class PastPosts(Protocol):
    async def topics_of(self, channel_id: int) -> set[str]:
        """Return the names of the topics that were posted in the channel."""

    async def last_of_topic(self, channel_id: int, names: list[str]) -> Delivery | None:
        """Return the channel's last post of a topic, which may have had several names."""


class Footnotes:
    def __init__(self, past: PastPosts, effective_channel: EffectiveChannel) -> None:
        self._past = past
        self._effective_channel = effective_channel
        self._searches = Searches[Delivery | None]()
        self.stop = self._searches.stop
        self._is_failing = False

    async def latest_post(self, library: Library, topic: Topic, channel: ChannelRef) -> Delivery | None:
        """Return the channel's last post of the topic; None if there is none, or none is found in time."""
        search = await self._searches.run(partial(self._search, library, topic, channel), TIMEOUT_SECONDS)
        if search is None:
            return None
        reason = failure(search)
        if reason and not self._is_failing:  # logged once until a search succeeds again
            # a busy machine is slow at times; other places warn about a database that hangs
            level = logging.WARNING if search.done() else logging.INFO
            log.log(level, "lookups are answered without a footnote: %s", reason)
        self._is_failing = bool(reason)
        return None if reason else search.result()

    async def _search(self, library: Library, topic: Topic, channel: ChannelRef) -> Delivery | None:
        channel_id = await self._effective_channel(*channel)
        names = [name for name in await self._past.topics_of(channel_id) if library.find(name) is topic]
        return await self._past.last_of_topic(channel_id, names) if names else None
