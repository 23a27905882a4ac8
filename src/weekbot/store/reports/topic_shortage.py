"""Channels with few unused topics left in their round."""

from collections.abc import Collection

from sqlalchemy import distinct, func, select

from weekbot.db.tables import deliveries, subscriptions
from weekbot.domain.deliveries import USED_STATES
from weekbot.store.repository import Repository

_RUNNING = (subscriptions.c.active, ~subscriptions.c.paused)


class ShortageReport(Repository):
    async def short(
        self, track: str, topics: Collection[str], least: int, also_without: Collection[str] = ()
    ) -> list[tuple[int, int]]:
        """Return the track's channels with fewer than `least` of its topics left, and how many; fewest first.

        If `also_without` is given, channels with a track that it doesn't contain count as the track's.
        """
        left = (len(topics) - func.count(distinct(deliveries.c.topic))).label("left")
        in_round = (deliveries.c.subscription_id == subscriptions.c.id) & (deliveries.c.round == subscriptions.c.round)
        used = deliveries.c.state.in_(USED_STATES) & deliveries.c.topic.in_(topics)
        of_track = subscriptions.c.track == track
        if also_without:
            of_track |= subscriptions.c.track.not_in(also_without)
        running = select(subscriptions.c.channel_id, left).where(*_RUNNING, of_track)
        counted = running.outerjoin(deliveries, in_round & used).group_by(subscriptions.c.id)
        short = counted.having(left < least).order_by(left, subscriptions.c.id)
        return [(row.channel_id, row.left) for row in await self._rows(short)]

    async def subscriptions(self) -> int:
        """Return the number of subscriptions that are active and not paused."""
        (count,) = await self._values(select(func.count()).select_from(subscriptions).where(*_RUNNING))
        return count
