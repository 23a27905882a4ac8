"""Footnotes of lookups: the channel's last post of the topic, found within a time limit."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from weekbot.bot.channel_ref import ChannelRef
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.domain.deliveries import Delivery
from weekbot.runtime.errors import describe
from weekbot.runtime.tasks import cancel_and_wait

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.08  # so that the whole response takes less than 0.1
MAX_PENDING = 2
"""The number of pending searches from which on no new ones start, because the database doesn't respond."""

EffectiveChannel = Callable[[int, int | None], Awaitable[int]]
"""Returns the id of the channel whose subscription applies to a channel, or to a thread and its parent."""


class PastPosts(Protocol):
    async def topics_of(self, channel_id: int) -> set[str]:
        """Return the names of the topics that were posted in the channel."""

    async def last_of_topic(self, channel_id: int, names: list[str]) -> Delivery | None:
        """Return the channel's last post of a topic, which may have had several names."""


class Footnotes:
    """Finds footnotes. A search that takes too long isn't cancelled, because cancelling a database call isn't safe."""

    def __init__(self, past: PastPosts, effective_channel: EffectiveChannel) -> None:
        self._past = past
        self._effective_channel = effective_channel
        self._pending: set[asyncio.Task[Delivery | None]] = set()
        self._is_failing = False

    async def latest_post(self, library: Library, topic: Topic, channel: ChannelRef) -> Delivery | None:
        """Return the channel's last post of the topic; None if there is none, or none is found in time."""
        if len(self._pending) >= MAX_PENDING:
            return None
        search = asyncio.create_task(self._search(library, topic, channel))
        self._pending.add(search)
        search.add_done_callback(self._on_done)
        await asyncio.wait({search}, timeout=TIMEOUT_SECONDS)
        reason = _failure(search)
        if reason and not self._is_failing:  # logged once until a search succeeds again
            # a busy machine is slow at times; other places warn about a database that hangs
            level = logging.WARNING if search.done() else logging.INFO
            log.log(level, "lookups are answered without a footnote: %s", reason)
        self._is_failing = bool(reason)
        return None if reason else search.result()

    async def stop(self) -> None:
        """Cancel all pending searches, so that the database can be closed."""
        await cancel_and_wait(*self._pending)

    async def _search(self, library: Library, topic: Topic, channel: ChannelRef) -> Delivery | None:
        channel_id = await self._effective_channel(*channel)
        names = [name for name in await self._past.topics_of(channel_id) if library.find(name) is topic]
        return await self._past.last_of_topic(channel_id, names) if names else None

    def _on_done(self, search: asyncio.Task[Delivery | None]) -> None:
        self._pending.discard(search)
        if not search.cancelled():
            search.exception()  # marks it as retrieved, even if nobody waited for it


def _failure(search: asyncio.Task[Delivery | None]) -> str | None:
    """Return why the search has no result; None if it has one."""
    if not search.done():
        return "the database takes too long"
    error = search.exception()
    return describe(error.__cause__ or error) if error else None
