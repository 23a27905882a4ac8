"""Warns the maintainers before channels run out of unused topics."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from weekbot.content.library import Library
from weekbot.content.tracks import EVERYTHING, Track
from weekbot.store.reports.topic_shortage import ShortageReport

log = logging.getLogger(__name__)

FEW = 4  # weeks, which are long enough to write that many topics
MAX_NAMED = 5
QUARTER = 13  # weeks; a shorter track is meant to repeat


@dataclass(frozen=True)
class ShortageWarning:
    """Logs the channels that are short of topics, and calls `publish` with their number and that of all channels."""

    library: Callable[[], Library]
    report: ShortageReport
    publish: Callable[[int, int], object]

    async def run(self) -> None:
        tracks = [
            each for each in self.library().tracks.values() if each.slug == EVERYTHING or len(each.topics) >= QUARTER
        ]
        short = [channel for track in tracks for channel in await self._short(track)]
        self.publish(len(short), await self.report.subscriptions())
        if short:
            named = ", ".join(f"{channel_id} ({left})" for channel_id, left in short[:MAX_NAMED])
            log.warning("%d channels have fewer than %d new topics left: %s", len(short), FEW, named)

    async def _short(self, track: Track) -> list[tuple[int, int]]:
        """The track's channels; those of a removed track count for the track of everything."""
        others = list(self.library().tracks) if track.slug == EVERYTHING else ()
        return await self.report.short(track.slug, track.topics, FEW, others)
