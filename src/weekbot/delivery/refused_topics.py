"""Topics that Discord refuses in several channels: they aren't posted until their content changes."""

import hashlib
import logging
from collections import defaultdict
from datetime import datetime
from functools import lru_cache

from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.store.refusals import Refusal, Refusals

log = logging.getLogger(__name__)

CHANNELS = 3  # if that many refuse a topic, the topic is at fault
WARNING = "Discord refuses the topic %s in %d channels (%s). Other topics are posted instead, until it is corrected."


class RefusedTopics:
    """Kept in memory, because every plan needs them. `load` reads the recorded refusals."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._channels: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._versions: dict[str, tuple[Topic, str]] = {}
        self._without = lru_cache(maxsize=1)(Library.without)

    async def load(self) -> None:
        for refusal in await self._refusals.all():
            self._channels[refusal.topic, refusal.version].add(refusal.channel_id)

    def without_refused(self, library: Library) -> Library:
        """The library with the topics that may be posted; lookups still find the refused ones."""
        return self._without(library, self.topics(library))

    def topics(self, library: Library) -> frozenset[str]:
        return frozenset(slug for slug, channels in self._refused(library) if len(channels) >= CHANNELS)

    def refused_in(self, library: Library, channel_id: int) -> frozenset[str]:
        return frozenset(slug for slug, channels in self._refused(library) if channel_id in channels)

    async def record(self, topic: Topic, channel_id: int, reason: str, now: datetime) -> None:
        channels = self._channels_of(topic)
        if channel_id in channels:
            return
        channels.add(channel_id)
        if len(channels) == CHANNELS:
            log.error(WARNING, topic.slug, CHANNELS, reason)
        await self._refusals.add(Refusal(topic.slug, self._version(topic), channel_id, reason, now))

    def _refused(self, library: Library) -> list[tuple[str, set[int]]]:
        """The topics with a refused version, each with the channels that refused its current content."""
        slugs = {slug for slug, _ in self._channels} & library.topics.keys()
        return [(slug, self._channels_of(library.topics[slug])) for slug in slugs]

    def _channels_of(self, topic: Topic) -> set[int]:
        return self._channels[topic.slug, self._version(topic)]

    def _version(self, topic: Topic) -> str:
        known = self._versions.get(topic.slug)
        if known is None or known[0] is not topic:
            digest = hashlib.sha256(topic.model_dump_json().encode()).hexdigest()[:32]
            known = self._versions[topic.slug] = (topic, digest)
        return known[1]
