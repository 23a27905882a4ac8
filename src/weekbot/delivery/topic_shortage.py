"""The outlook: a warning to the maintainers, before channels run out of topics they have not had."""

import logging
from collections.abc import Callable

from weekbot.content.library import Library
from weekbot.content.tracks import EVERYTHING, Track
from weekbot.store.reports.topic_shortage import ShortageReport

log = logging.getLogger(__name__)

FEW = 4  # weeks are long enough to write that many topics
MOST_NAMED = 5
QUARTER = 13  # weeks; a shorter track is meant to begin again


class ShortageWarning:
    """Calls `publish` with the number of channels that are short of topics, and the number of all channels."""

    def __init__(
        self, library: Callable[[], Library], supply: ShortageReport, publish: Callable[[int, int], object]
    ) -> None:
        self._library = library
        self._supply = supply
        self._publish = publish

    async def look(self) -> None:
        """Count, log and publish which channels have fewer than four topics left that they have not had."""
        tracks = [track for track in self._library().tracks.values() if _is_long(track)]
        short = [channel for track in tracks for channel in await self._short(track)]
        self._publish(len(short), await self._supply.subscriptions())
        if short:
            named = ", ".join(f"{channel_id} ({left})" for channel_id, left in short[:MOST_NAMED])
            log.warning("%d channels have fewer than %d new topics left: %s", len(short), FEW, named)

    async def _short(self, track: Track) -> list[tuple[int, int]]:
        """The track's channels; a track that has left the content goes on as that of everything."""
        others = list(self._library().tracks) if track.slug == EVERYTHING else ()
        return await self._supply.short(track.slug, track.topics, FEW, others)


def _is_long(track: Track) -> bool:
    return track.slug == EVERYTHING or len(track.topics) >= QUARTER
