"""One attempt at one step after a post. Whatever happens here, the post stays."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from weekbot.clock import Clock
from weekbot.content.library import Library
from weekbot.delivery.outcomes import NotSentError, OutcomeUnknownError, RefusedError
from weekbot.delivery.plan import too_late
from weekbot.delivery.ports import Sender
from weekbot.delivery.retries import pause_after, reason_of
from weekbot.store.steps import Step, StepName, Steps

log = logging.getLogger(__name__)

STEP_SECONDS = 30


class FollowUp:
    def __init__(
        self, library: Callable[[], Library], steps: Steps, sender: Sender, clock: Clock, catch_up: timedelta
    ) -> None:
        self._library = library
        self._steps = steps
        self._sender = sender
        self._clock = clock
        self._catch_up = catch_up

    async def attempt(self, step: Step) -> None:
        """Carry the step out, and record what became of it."""
        topic = self._library().topics.get(step.delivery.topic)
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await self._sender.follow_up(step.name, step.delivery, topic)
        except RefusedError as error:
            await self._give_up(step, str(error))
        except (NotSentError, OutcomeUnknownError, TimeoutError) as error:
            await self._retry(step, error)
        except Exception as error:
            log.exception("delivery %s: unexpected error in its step %s", step.delivery.id, step.name)
            await self._retry(step, error)
        else:
            if step.name is StepName.PIN:
                await self._steps.pinned(step)
            await self._steps.done(step)

    async def _retry(self, step: Step, error: Exception) -> None:
        now = self._clock.now()
        reason = reason_of(error)
        if too_late(step.delivery.slot, now, self._catch_up):
            await self._give_up(step, reason)
        else:
            await self._steps.retry(step, now + pause_after(error, step.attempts + 1), reason)

    async def _give_up(self, step: Step, reason: str) -> None:
        log.warning("channel %d: %s not done: %s", step.delivery.subscription.channel_id, step.name, reason)
        await self._steps.done(step, reason)
