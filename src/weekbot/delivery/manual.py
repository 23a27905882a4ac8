"""Manual deliveries: posts and skips that a moderator requests outside the schedule."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from weekbot.delivery.context import DeliveryContext
from weekbot.delivery.deadline import from_now, has_passed
from weekbot.delivery.dispatcher import Dispatcher
from weekbot.delivery.posts import ATTEMPT_SECONDS, LEASE, Poster
from weekbot.delivery.retry import ServerLimit
from weekbot.delivery.steps import StepHandler
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.planning import planner
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.errors import WeekbotError
from weekbot.store.claims import ManualAction
from weekbot.store.deliveries import Deliveries, RepeatedError

MAX_POSTS = 10  # of a server in a minute
LEADER_SECONDS, POLL_SECONDS = 20.0, 0.2  # the longest wait for the leader's post, and the interval of its polls


class TooManyPostsError(WeekbotError):
    """There were too many manual posts in this server. Wait a minute, then try again."""


@dataclass(frozen=True)
class Manual:
    """A manual delivery: a new one, or the earlier one if the request `repeated` it."""

    delivery: Delivery
    repeated: bool = False


@dataclass
class ManualDeliveries:
    """If this process isn't the leader, posts are left to the leader.

    `interaction_id` determines the delivery's id. `post` and `skip` raise LookingBackError, and NotNextError if the
    given topic isn't the next one. They return None if a post is in flight.
    """

    context: DeliveryContext
    deliveries: Deliveries
    poster: Poster
    steps: StepHandler
    dispatcher: Dispatcher
    is_leader: Callable[[], bool]

    def __post_init__(self) -> None:
        self._posts = ServerLimit(MAX_POSTS, timedelta(minutes=1), self.context.clock)

    async def post(
        self, subscription: Subscription, topic: str | None = None, interaction_id: int | None = None
    ) -> Manual | None:
        """Post the next topic now, unless that was done within the last minute. Raises TooManyPostsError."""
        if self._posts.pause(subscription.guild_id):
            raise TooManyPostsError
        await self._verify(subscription)
        is_leader, deadline = self.is_leader(), from_now(ATTEMPT_SECONDS)
        action = ManualAction(skips=False, topic=topic, interaction_id=interaction_id)
        manual = await self._claim(subscription, action, LEASE if is_leader else None)
        if manual is None or manual.repeated:
            return manual
        self._posts.use(subscription.guild_id)
        delivery = manual.delivery
        if is_leader:
            await self.dispatcher.run_job(self._post(delivery, deadline))
        else:
            await self._wait_for_leader(delivery)
        return Manual(await self.deliveries.get(delivery.id) or delivery)

    async def skip(
        self, subscription: Subscription, topic: str | None = None, interaction_id: int | None = None
    ) -> Manual | None:
        """Leave the next topic out of this round, unless that was done within the last minute."""
        await self._verify(subscription)
        action = ManualAction(skips=True, topic=topic, interaction_id=interaction_id)
        return await self._claim(subscription, action, LEASE)

    async def _verify(self, subscription: Subscription) -> None:
        if self.is_leader():
            await self.context.verification.wait_for(subscription, self.dispatcher.wake)

    async def _claim(self, subscription: Subscription, action: ManualAction, lease: timedelta | None) -> Manual | None:
        plan = planner(self.context.library(), State.SKIPPED if action.skips else State.PENDING, action.topic)
        try:
            claimed = await self.deliveries.claim_manual(subscription, plan, self.context.now(), lease, action)
        except RepeatedError as error:
            return Manual(error.delivery, repeated=True)
        return Manual(claimed) if claimed else None

    async def _post(self, delivery: Delivery, deadline: float) -> None:
        await self.poster.attempt(delivery, deadline)
        await self.steps.run_steps_of(delivery)

    async def _wait_for_leader(self, delivery: Delivery) -> None:
        """Return when the leader has recorded an outcome, or after a while. No query is cancelled halfway."""
        deadline = from_now(LEADER_SECONDS)
        while not has_passed(deadline) and await self._has_no_outcome(delivery):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(POLL_SECONDS)

    async def _has_no_outcome(self, delivery: Delivery) -> bool:
        current = await self.deliveries.get(delivery.id)
        return current is not None and current.state is State.PENDING and current.reason is None
