"""What follows a post: its steps, one after another. Whatever happens here, the post stays."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from weekbot.content.library import Library
from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.delivery.dispatcher import Job
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.delivery.ports import Sender, Sent
from weekbot.delivery.retry import pause_after
from weekbot.domain.deliveries import Delivery
from weekbot.domain.planning import planner_of_post, too_late
from weekbot.domain.steps import ORDER, Step, StepName
from weekbot.runtime.clock import Clock
from weekbot.runtime.log import about
from weekbot.store.shown_topics import ShownTopic
from weekbot.store.steps import Steps

log = logging.getLogger(__name__)

STEP_SECONDS = 20
LONGEST_LOOK = timedelta(days=6)  # for duplicates, which are still removed days later
LEASE = timedelta(seconds=STEP_SECONDS * len(ORDER) + 5)


class StepQueue:
    """A source of work. A channel's steps are carried out one by one, so that a pin takes the last one's off."""

    def __init__(
        self, library: Callable[[], Library], steps: Steps, sender: Sender, clock: Clock, catch_up: timedelta
    ) -> None:
        self._library = library
        self._steps = steps
        self._sender = sender
        self._clock = clock
        self._catch_up = catch_up
        self._busy: set[int] = set()

    async def claim(self, limit: int) -> Sequence[Job]:
        return self._works(await self._steps.claim(self._clock.now(), LEASE, limit, self._busy))

    async def next_at(self) -> datetime | None:
        return await self._steps.next_retry()

    async def of(self, delivery: Delivery) -> None:
        """Carry out the steps of this delivery, as far as they are due."""
        for work in self._works(await self._steps.claim(self._clock.now(), LEASE, len(ORDER), self._busy, delivery.id)):
            await work

    def _works(self, groups: Sequence[Sequence[Step]]) -> Sequence[Job]:
        self._busy |= {group[0].delivery.subscription.id for group in groups}
        return [self._in_turn(group) for group in groups]

    async def _in_turn(self, group: Sequence[Step]) -> None:
        try:
            for step in group:
                await self._attempt(step)
        finally:
            self._busy.discard(group[0].delivery.subscription.id)

    async def _attempt(self, step: Step) -> None:
        """Carry the step out, and record what became of it."""
        about({**step.delivery.log_fields, "step": step.name})
        topic = self._library().find(step.delivery.topic)
        try:
            async with deadline_at(from_now(STEP_SECONDS)):
                instead = await self._sender.follow_up(step.name, step.delivery, topic)
        except (PermanentError, HistoryUnreadableError) as error:
            await self._give_up(step, str(error))
        except (RetryableError, AmbiguousError) as error:
            await self._retry(step, error)
        else:
            if step.name is StepName.PIN:
                await self._steps.pinned(step)
            if instead:
                await self._steps.record_message(
                    step, instead.message_id, instead.channel_id, self._shown(step, instead)
                )
            await self._steps.done(step)

    def _shown(self, step: Step, instead: Sent) -> ShownTopic | None:
        if instead.topic in (None, step.delivery.topic):
            return None
        return ShownTopic(instead.topic, planner_of_post(self._library(), instead.topic))

    async def _retry(self, step: Step, error: Exception) -> None:
        now, reason = self._clock.now(), str(error)
        patience = max(self._catch_up, LONGEST_LOOK) if step.name is StepName.STRAYS else self._catch_up
        if too_late(step.delivery.sent_at or step.delivery.slot, now, patience):
            await self._give_up(step, reason)
        else:
            await self._steps.retry(step, now + pause_after(error, step.attempts), reason)

    async def _give_up(self, step: Step, reason: str) -> None:
        log.warning("step not done: %s", reason)
        await self._steps.done(step, reason)
