"""What a moderator has done outside the schedule."""

from collections.abc import Callable

from weekbot.clock import Clock
from weekbot.content.library import Library
from weekbot.delivery.dispatch import Dispatcher
from weekbot.delivery.follow_up import FollowUp
from weekbot.delivery.plan import planner
from weekbot.delivery.poster import LEASE, Poster
from weekbot.store.deliveries import Deliveries
from weekbot.store.delivery import Delivery, State
from weekbot.store.subscriptions import Subscription


class ByHand:
    """Where a topic is given that is not the next one any more, nothing is done: raises NotNextError."""

    def __init__(
        self,
        library: Callable[[], Library],
        deliveries: Deliveries,
        poster: Poster,
        follow_up: FollowUp,
        dispatcher: Dispatcher,
        clock: Clock,
    ) -> None:
        self._library = library
        self._deliveries = deliveries
        self._poster = poster
        self._follow_up = follow_up
        self._dispatcher = dispatcher
        self._clock = clock

    async def post(self, subscription: Subscription, topic: str | None = None) -> Delivery | None:
        """Post the next topic now; None where a post is on its way already."""
        delivery = await self._claim(subscription, State.PENDING, topic)
        if delivery is None:
            return None
        await self._dispatcher.carry_out(self._post(delivery))
        return await self._deliveries.get(delivery.id)

    async def skip(self, subscription: Subscription, topic: str | None = None) -> Delivery | None:
        """Leave the next topic out of this round; None where a post is on its way already."""
        return await self._claim(subscription, State.SKIPPED, topic)

    async def _claim(self, subscription: Subscription, state: State, topic: str | None) -> Delivery | None:
        plan = planner(self._library(), state, topic)
        return await self._deliveries.claim_now(subscription, plan, self._clock.now(), LEASE)

    async def _post(self, delivery: Delivery) -> None:
        await self._poster.attempt(delivery)
        await self._follow_up.of(delivery)
