"""What follows a post: its steps, one after another. Whatever happens here, the post stays."""

import logging
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from weekbot.delivery.context import Context
from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.delivery.ports import Sent
from weekbot.delivery.retry import pause_after
from weekbot.delivery.worker import GivenUp, Retried, settle
from weekbot.domain.deliveries import Delivery
from weekbot.domain.planning import planner_of_post, too_late
from weekbot.domain.steps import ORDER, Step, StepName
from weekbot.runtime.log import bind_log_context
from weekbot.store.shown_topics import ShownTopic
from weekbot.store.steps import Steps, of_delivery, of_others

log = logging.getLogger(__name__)

STEP_SECONDS = 20
LONGEST_LOOK = timedelta(days=6)  # for duplicates, which are still removed days later
LEASE = timedelta(seconds=STEP_SECONDS * len(ORDER) + 5)


class StepHandler:
    """Carries out a channel's steps one by one, as a pin takes the last one off. A job is the steps of a post."""

    seconds = STEP_SECONDS

    def __init__(self, context: Context, steps: Steps) -> None:
        self._library = context.library
        self._sender = context.sender
        self._clock = context.clock
        self._catch_up = context.catch_up
        self._steps = steps
        self._busy: set[int] = set()

    async def claim(self, now: datetime, limit: int) -> Sequence[Sequence[Step]]:
        return self._grouped(await self._steps.claim(now, LEASE, limit, of_others(self._busy)))

    async def next_at(self) -> datetime | None:
        return await self._steps.next_at()

    async def carry_out_for(self, delivery: Delivery) -> None:
        """Carry out the steps of this delivery, as far as they are due."""
        which = of_delivery(delivery.id) & of_others(self._busy)
        for group in self._grouped(await self._steps.claim(self._clock.now(), LEASE, len(ORDER), which)):
            await self.attempt(group)

    def _grouped(self, steps: Sequence[Step]) -> Sequence[Sequence[Step]]:
        groups = [list(group) for _, group in groupby(steps, key=lambda step: step.delivery.subscription.id)]
        self._busy |= {group[0].delivery.subscription.id for group in groups}
        return groups

    async def attempt(self, group: Sequence[Step], _: float = math.inf) -> None:
        """Each step has a deadline of its own, which is within the lease of them all."""
        try:
            for step in group:
                bind_log_context({**step.delivery.log_fields, "step": step.name})
                await settle(self, step, self._carry_out(step))
        finally:
            self._busy.discard(group[0].delivery.subscription.id)

    async def _carry_out(self, step: Step) -> None:
        topic = self._library().find(step.delivery.topic)
        async with deadline_at(from_now(STEP_SECONDS)):
            instead = await self._sender.follow_up(step.name, step.delivery, topic)
        if step.name is StepName.PIN:
            await self._steps.pinned(step)
        if instead:
            await self._steps.record_message(step, instead.message_id, instead.channel_id, self._shown(step, instead))
        await self._steps.finish(step, reason=None)

    def _shown(self, step: Step, instead: Sent) -> ShownTopic | None:
        if instead.topic in (None, step.delivery.topic):
            return None
        return ShownTopic(instead.topic, planner_of_post(self._library(), instead.topic))

    async def retry(self, step: Step, error: Retried) -> None:
        now = self._clock.now()
        patience = max(self._catch_up, LONGEST_LOOK) if step.name is StepName.STRAYS else self._catch_up
        if too_late(step.delivery.sent_at or step.delivery.slot, now, patience):
            await self.give_up(step, error)
        else:
            await self._steps.retry(step, now + pause_after(error, step.attempts), reason=str(error))

    async def give_up(self, step: Step, error: GivenUp | Retried) -> None:
        log.warning("step not done: %s", error)
        await self._steps.finish(step, reason=str(error))
