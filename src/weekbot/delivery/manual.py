"""What a moderator has done outside the schedule."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from weekbot.content.library import Library
from weekbot.delivery.dispatcher import Dispatcher
from weekbot.delivery.posts import LEASE, Poster, latest_end
from weekbot.delivery.server_share import ServerShare
from weekbot.delivery.steps import StepQueue
from weekbot.delivery.verification import Verification
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.planning import planner
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.store.deliveries import Deliveries, ManualAction, RepeatedError

MOST_POSTS = 10  # of a server in a minute
ELSEWHERE_SECONDS, LOOK_SECONDS = 20.0, 0.2  # the process that sends has so long until this one answers anyway


class TooManyPostsError(WeekbotError):
    """There were too many manual posts in this server. Wait a minute, then try again."""


@dataclass(frozen=True)
class Manual:
    """A manual delivery: a new one, or the earlier one if the request `repeated` it."""

    delivery: Delivery
    repeated: bool = False


class ManualDeliveries:
    """Where a topic is given that is not the next one any more, nothing is done: raises NotNextError.

    If an interaction requested the delivery, `interaction_id` determines the delivery's id.
    `sends` is whether this process does; what it does not send is left to the one that does.
    """

    def __init__(
        self,
        library: Callable[[], Library],
        deliveries: Deliveries,
        poster: Poster,
        follow_up: StepQueue,
        dispatcher: Dispatcher,
        verification: Verification,
        clock: Clock,
        sends: Callable[[], bool],
    ) -> None:
        self._library = library
        self._deliveries = deliveries
        self._poster = poster
        self._follow_up = follow_up
        self._dispatcher = dispatcher
        self._verification = verification
        self._clock = clock
        self._sends = sends
        self._posts = ServerShare(MOST_POSTS, timedelta(minutes=1), clock)

    async def post(
        self, subscription: Subscription, topic: str | None = None, interaction_id: int | None = None
    ) -> Manual | None:
        """Post the next topic now, unless that was done within the last minute; None if a post is in flight.

        Raises LookingBackError and TooManyPostsError.
        """
        if self._posts.pause(subscription.guild_id):
            raise TooManyPostsError
        await self._verify(subscription)
        here, latest = self._sends(), latest_end()
        action = ManualAction(skips=False, topic=topic, interaction_id=interaction_id)
        made = await self._claim(subscription, action, LEASE if here else None)
        if made is None or made.repeated:
            return made
        self._posts.take(subscription.guild_id)
        delivery = made.delivery
        await (self._dispatcher.carry_out(self._post(delivery, latest)) if here else self._posted_elsewhere(delivery))
        return Manual(await self._deliveries.get(delivery.id) or delivery)

    async def skip(
        self, subscription: Subscription, topic: str | None = None, interaction_id: int | None = None
    ) -> Manual | None:
        """Leave the next topic out of this round, unless that was done within the last minute.

        None if a post is in flight. Raises LookingBackError.
        """
        await self._verify(subscription)
        action = ManualAction(skips=True, topic=topic, interaction_id=interaction_id)
        return await self._claim(subscription, action, LEASE)

    async def _verify(self, subscription: Subscription) -> None:
        if self._sends():
            await self._verification.wait_for(subscription, self._dispatcher.wake)

    async def _claim(self, subscription: Subscription, action: ManualAction, lease: timedelta | None) -> Manual | None:
        plan = planner(self._library(), State.SKIPPED if action.skips else State.PENDING, action.topic)
        try:
            made = await self._deliveries.claim_now(subscription, plan, self._clock.now(), lease, action)
        except RepeatedError as error:
            return Manual(error.delivery, repeated=True)
        return Manual(made) if made else None

    async def _post(self, delivery: Delivery, latest: float) -> None:
        await self._poster.attempt(delivery, latest)
        await self._follow_up.of(delivery)

    async def _posted_elsewhere(self, delivery: Delivery) -> None:
        """Return when it is known what became of the first attempt, or after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ELSEWHERE_SECONDS):
                while await self._is_untold(delivery):  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(LOOK_SECONDS)

    async def _is_untold(self, delivery: Delivery) -> bool:
        now = await self._deliveries.get(delivery.id)
        return now is not None and now.state is State.PENDING and now.reason is None
