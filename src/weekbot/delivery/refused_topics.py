"""Sets topics aside that Discord refuses in several channels, until their content changes."""

import hashlib
import logging
from collections import defaultdict
from datetime import datetime

from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.store.refusals import Refusal, Refusals

log = logging.getLogger(__name__)

CHANNELS = 3  # refusals from this many channels: the topic is at fault, not a channel
WARNING = "Discord refuses the topic %s in %d channels (%s). Other topics are posted instead, until it is corrected."


class RefusedTopics:
    """Kept in memory, because every plan needs it. `load` reads the recorded refusals."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._channels: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._versions: dict[str, tuple[Topic, str]] = {}
        self._view: tuple[Library, frozenset[str], Library] | None = None

    async def load(self) -> None:
        for refusal in await self._refusals.all():
            self._channels[refusal.topic, refusal.version].add(refusal.channel_id)

    def view(self, library: Library) -> Library:
        """The library without the topics that are set aside; lookups still find them."""
        aside = self.topics(library)
        if self._view is None or self._view[:2] != (library, aside):
            self._view = (library, aside, library.without(aside))
        return self._view[2]

    def topics(self, library: Library) -> frozenset[str]:
        return frozenset(slug for slug in self._candidates(library, CHANNELS))

    def refused_in(self, library: Library, channel_id: int) -> frozenset[str]:
        """The topics that Discord refused in this channel."""
        return frozenset(slug for slug in self._candidates(library, 1) if channel_id in self._of(library.topics[slug]))

    async def note(self, topic: Topic, channel_id: int, reason: str, now: datetime) -> None:
        """Record that Discord refused the topic in the channel."""
        channels = self._of(topic)
        if channel_id in channels:
            return
        channels.add(channel_id)
        if len(channels) == CHANNELS:
            log.error(WARNING, topic.slug, CHANNELS, reason)
        await self._refusals.add(Refusal(topic.slug, self._version(topic), channel_id, reason, now))

    def _candidates(self, library: Library, least: int) -> list[str]:
        named = {slug for (slug, _), channels in self._channels.items() if len(channels) >= least}
        return [slug for slug in named & library.topics.keys() if len(self._of(library.topics[slug])) >= least]

    def _of(self, topic: Topic) -> set[int]:
        return self._channels[topic.slug, self._version(topic)]

    def _version(self, topic: Topic) -> str:
        known = self._versions.get(topic.slug)
        if known is None or known[0] is not topic:
            digest = hashlib.sha256(topic.model_dump_json().encode()).hexdigest()[:32]
            known = self._versions[topic.slug] = (topic, digest)
        return known[1]
