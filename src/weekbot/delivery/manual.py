"""What a moderator has done outside the schedule."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from weekbot.delivery.context import Context
from weekbot.delivery.deadline import from_now
from weekbot.delivery.dispatcher import Dispatcher
from weekbot.delivery.posts import ATTEMPT_SECONDS, LEASE, Poster
from weekbot.delivery.server_share import ServerShare
from weekbot.delivery.steps import StepHandler
from weekbot.delivery.verification import Verification
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.planning import planner
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.errors import WeekbotError
from weekbot.store.deliveries import Deliveries, ManualAction, RepeatedError

MOST_POSTS = 10  # of a server in a minute
ELSEWHERE_SECONDS, LOOK_SECONDS = 20.0, 0.2  # how long a post by the leader is waited for, and looked for


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
    Another process is the leader if this one isn't: the post is left to it.
    """

    def __init__(
        self,
        context: Context,
        deliveries: Deliveries,
        poster: Poster,
        steps: StepHandler,
        dispatcher: Dispatcher,
        verification: Verification,
        is_leader: Callable[[], bool],
    ) -> None:
        self._library = context.library
        self._clock = context.clock
        self._deliveries = deliveries
        self._poster = poster
        self._steps = steps
        self._dispatcher = dispatcher
        self._verification = verification
        self._is_leader = is_leader
        self._posts = ServerShare(MOST_POSTS, timedelta(minutes=1), self._clock)

    async def post(
        self, subscription: Subscription, topic: str | None = None, interaction_id: int | None = None
    ) -> Manual | None:
        """Post the next topic now, unless that was done within the last minute; None if a post is in flight.

        Raises LookingBackError and TooManyPostsError.
        """
        if self._posts.pause(subscription.guild_id):
            raise TooManyPostsError
        await self._verify(subscription)
        is_leader, deadline = self._is_leader(), from_now(ATTEMPT_SECONDS)
        action = ManualAction(skips=False, topic=topic, interaction_id=interaction_id)
        made = await self._claim(subscription, action, LEASE if is_leader else None)
        if made is None or made.repeated:
            return made
        self._posts.take(subscription.guild_id)
        delivery = made.delivery
        if is_leader:
            await self._dispatcher.carry_out(self._post(delivery, deadline))
        else:
            await self._posted_elsewhere(delivery)
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
        if self._is_leader():
            await self._verification.wait_for(subscription, self._dispatcher.wake)

    async def _claim(self, subscription: Subscription, action: ManualAction, lease: timedelta | None) -> Manual | None:
        plan = planner(self._library(), State.SKIPPED if action.skips else State.PENDING, action.topic)
        try:
            made = await self._deliveries.claim_now(subscription, plan, self._clock.now(), lease, action)
        except RepeatedError as error:
            return Manual(error.delivery, repeated=True)
        return Manual(made) if made else None

    async def _post(self, delivery: Delivery, deadline: float) -> None:
        await self._poster.attempt(delivery, deadline)
        await self._steps.carry_out_for(delivery)

    async def _posted_elsewhere(self, delivery: Delivery) -> None:
        """Return when it is known what became of the first attempt, or after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ELSEWHERE_SECONDS):
                while await self._is_untold(delivery):  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(LOOK_SECONDS)

    async def _is_untold(self, delivery: Delivery) -> bool:
        now = await self._deliveries.get(delivery.id)
        return now is not None and now.state is State.PENDING and now.reason is None
