"""How many topics the channels still have before them in their rounds."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, distinct, func, select

from weekbot.db.database import Database
from weekbot.db.tables import deliveries, subscriptions
from weekbot.domain.deliveries import USED_STATES


class ShortageReport:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def short(
        self, track: str, topics: Collection[str], least: int, also_without: Collection[str] = ()
    ) -> list[tuple[int, int]]:
        """Channels of the track with fewer than `least` of its topics left in their round, and how many; fewest first.

        With the channels of all tracks that are not in `also_without`, where that is given.
        """
        had = func.count(distinct(deliveries.c.topic))
        left = (len(topics) - had).label("left")
        same_round = (
            (deliveries.c.subscription_id == subscriptions.c.id)
            & (deliveries.c.round == subscriptions.c.round)
            & deliveries.c.state.in_(USED_STATES)
            & deliveries.c.topic.in_(topics)
        )
        query = (
            select(subscriptions.c.channel_id, left)
            .outerjoin(deliveries, same_round)
            .where(*_IN_USE, _follows(track, also_without))
            .group_by(subscriptions.c.id)
            .having(left < least)
            .order_by(left, subscriptions.c.id)
        )
        async with self._database.read() as connection:
            return [(row.channel_id, row.left) for row in await connection.execute(query)]

    async def subscriptions(self) -> int:
        """The number of subscriptions that are active and not paused."""
        query = select(func.count()).select_from(subscriptions).where(*_IN_USE)
        async with self._database.read() as connection:
            return await connection.scalar(query) or 0


_IN_USE = (subscriptions.c.active, ~subscriptions.c.paused)


def _follows(track: str, also_without: Collection[str]) -> ColumnElement[bool]:
    follows = subscriptions.c.track == track
    return follows | subscriptions.c.track.not_in(also_without) if also_without else follows
