"""Runs the steps after a post. Their failures never affect the post."""

import logging
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from weekbot.delivery.context import DeliveryContext
from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.delivery.retry import pause_after
from weekbot.delivery.worker import FinalError, TemporaryError, run_attempt
from weekbot.domain.deliveries import Delivery
from weekbot.domain.planning import too_late
from weekbot.domain.steps import ORDER, Step, StepName
from weekbot.store.steps import Steps, excluding, for_delivery

log = logging.getLogger(__name__)

STEP_SECONDS = 20
DUPLICATES_CATCH_UP = timedelta(days=6)  # duplicates are still removed days later
LEASE = timedelta(seconds=STEP_SECONDS * len(ORDER) + 5)


class StepHandler:
    """Runs a channel's steps one by one, because a pin removes the previous one. A job has the steps of one post."""

    seconds = STEP_SECONDS

    def __init__(self, context: DeliveryContext, steps: Steps) -> None:
        self._context = context
        self._steps = steps
        self.next_at = steps.next_at
        self._in_progress: set[int] = set()

    async def claim(self, now: datetime, limit: int) -> Sequence[Sequence[Step]]:
        return self._grouped(await self._steps.claim(now, LEASE, limit, excluding(self._in_progress)))

    async def run_steps_of(self, delivery: Delivery) -> None:
        where = for_delivery(delivery.id) & excluding(self._in_progress)
        for group in self._grouped(await self._steps.claim(self._context.now(), LEASE, len(ORDER), where)):
            await self.attempt(group)

    def _grouped(self, steps: Sequence[Step]) -> Sequence[Sequence[Step]]:
        groups = [list(group) for _, group in groupby(steps, key=lambda step: step.delivery.subscription.id)]
        self._in_progress |= {group[0].delivery.subscription.id for group in groups}
        return groups

    async def attempt(self, group: Sequence[Step], _: float = math.inf) -> None:
        """Each step has its own deadline, which is within the lease of all steps."""
        try:
            for step in group:
                await run_attempt(self, step, {**step.delivery.log_fields, "step": step.name}, self._run(step))
        finally:
            self._in_progress.discard(group[0].delivery.subscription.id)

    async def _run(self, step: Step) -> None:
        topic = self._context.library().find(step.delivery.topic)
        async with deadline_at(from_now(STEP_SECONDS)):
            remaining = await self._context.sender.follow_up(step.name, step.delivery, topic)
        if step.name is StepName.PIN:
            await self._steps.record_pin(step)
        if remaining:
            shown = self._context.shown_topic(step.delivery, remaining)
            await self._steps.record_message(step, remaining.message_id, remaining.channel_id, shown)
        await self._steps.finish(step)

    async def retry(self, step: Step, error: TemporaryError) -> None:
        now, catch_up = self._context.now(), self._context.catch_up
        if step.name is StepName.STRAYS:
            catch_up = max(catch_up, DUPLICATES_CATCH_UP)
        if too_late(step.delivery.sent_at or step.delivery.slot, now, catch_up):
            await self.give_up(step, error)
        else:
            await self._steps.retry(step, now + pause_after(error, step.attempts), reason=str(error))

    async def give_up(self, step: Step, error: FinalError | TemporaryError) -> None:
        log.warning("step failed: %s", error)
        await self._steps.finish(step, reason=str(error))
