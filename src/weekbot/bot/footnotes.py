"""Footnotes: when and where a channel had a topic, found within a time limit so that lookups aren't delayed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from weekbot.bot.place import Place
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.domain.deliveries import Delivery
from weekbot.runtime.errors import describe
from weekbot.runtime.tasks import cancel_and_wait

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 0.08  # so that the whole answer takes less than 0.1
MOST_PENDING = 2
"""Number of pending searches at which lookups stop starting new ones, because the database doesn't answer."""


ChannelMeant = Callable[[int, int | None], Awaitable[int]]
"""The id of the channel whose subscription counts in a channel, or in a thread and its parent."""


class PastPosts(Protocol):
    async def topics_of(self, channel_id: int) -> set[str]:
        """The names of the topics that were posted in the channel."""

    async def last_of_topic(self, channel_id: int, names: list[str]) -> Delivery | None:
        """The channel's latest post of a topic, which may have had several names."""


class Footnotes:
    """Finds footnotes. A search that takes too long isn't cancelled, because cancelling a database call isn't safe."""

    def __init__(self, past: PastPosts, effective_channel: ChannelMeant) -> None:
        self._past = past
        self._channel_meant = effective_channel
        self._pending: set[asyncio.Task[Delivery | None]] = set()
        self._in_trouble = False

    async def of(self, library: Library, topic: Topic, place: Place) -> Delivery | None:
        """The latest post of the topic in the place's channel; None if none exists, or none is found in time."""
        if len(self._pending) >= MOST_PENDING:
            return None
        search = asyncio.create_task(self._search(library, topic, place))
        self._pending.add(search)
        search.add_done_callback(self._ended)
        await asyncio.wait({search}, timeout=LONGEST_WAIT_SECONDS)
        if trouble := _trouble(search):
            # A busy machine is slow now and then; a database that hangs is a warning elsewhere.
            self._note(trouble, logging.WARNING if search.done() else logging.INFO)
            return None
        self._in_trouble = False
        return search.result()

    async def stop(self) -> None:
        """Cancel all pending searches, so that the database can be closed."""
        await cancel_and_wait(*self._pending)

    async def _search(self, library: Library, topic: Topic, place: Place) -> Delivery | None:
        channel_id = await self._channel_meant(place.channel_id, place.parent_id)
        names = [name for name in await self._past.topics_of(channel_id) if library.find(name) is topic]
        return await self._past.last_of_topic(channel_id, names) if names else None

    def _ended(self, search: asyncio.Task[Delivery | None]) -> None:
        self._pending.discard(search)
        if not search.cancelled():
            search.exception()  # also if nobody waited long enough for it

    def _note(self, trouble: str, level: int) -> None:
        """Log why footnotes are missing, once until a lookup has its footnote again."""
        if not self._in_trouble:
            log.log(level, "lookups are answered without a footnote: %s", trouble)
        self._in_trouble = True


def _trouble(search: asyncio.Task[Delivery | None]) -> str | None:
    """The reason why the search has no result; None if it has one."""
    if not search.done():
        return "the database takes too long"
    error = search.exception()
    return describe(error.__cause__ or error) if error else None
