"""The dispatcher: what is due is claimed, what is claimed is sent, what is sent is followed up."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any

from weekbot.clock import Clock
from weekbot.content.library import Library
from weekbot.delivery.follow_up import FollowUp
from weekbot.delivery.plan import planner, too_late
from weekbot.delivery.poster import Poster
from weekbot.store.deliveries import Deliveries, Delivery, State
from weekbot.store.steps import Step, Steps
from weekbot.store.subscriptions import Subscription, Subscriptions
from weekbot.waiting import first_of

log = logging.getLogger(__name__)

BATCH = 200
AT_ONCE = 10
TICK = timedelta(minutes=1)


class Dispatcher:
    """`run` is called each minute and at start; between two calls nothing is kept but in the store."""

    def __init__(
        self,
        library: Callable[[], Library],
        subscriptions: Subscriptions,
        deliveries: Deliveries,
        steps: Steps,
        poster: Poster,
        follow_up: FollowUp,
        clock: Clock,
        catch_up: timedelta,
    ) -> None:
        self._library = library
        self._subscriptions = subscriptions
        self._deliveries = deliveries
        self._steps = steps
        self._poster = poster
        self._follow_up = follow_up
        self._clock = clock
        self._catch_up = catch_up
        self._places = asyncio.Semaphore(AT_ONCE)
        self._running = asyncio.Lock()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Do all that is due, and stay for what becomes due before the next tick."""
        if self._running.locked():
            return
        async with self._running:
            while (pause := await self._round()) is not None:
                await first_of(self._clock.sleep(pause), self._stopping.wait())

    async def stop(self) -> None:
        """Begin nothing new; return when what is in flight is recorded."""
        self._stopping.set()
        async with self._running:
            for _ in range(AT_ONCE):
                await self._places.acquire()
            for _ in range(AT_ONCE):
                self._places.release()

    async def post_now(self, subscription: Subscription) -> Delivery | None:
        """Post the next topic outside the schedule; None where a post is on its way already."""
        delivery = await self._deliveries.claim_now(subscription, planner(self._library()), self._clock.now())
        if delivery is None:
            return None
        await self._one_of_many(self._poster.attempt(delivery))
        await self._follow_up_all()
        return await self._deliveries.get(delivery.id)

    async def skip(self, subscription: Subscription) -> Delivery | None:
        """Leave the next topic out of this round; None where a post is on its way already."""
        plan = planner(self._library(), State.SKIPPED)
        return await self._deliveries.claim_now(subscription, plan, self._clock.now())

    async def _round(self) -> timedelta | None:
        """One pass over all that is due; how long until the next one, None where the next tick will do."""
        if self._stopping.is_set():
            return None
        await self._claim_all()
        open_deliveries = await self._deliveries.open(self._clock.now(), BATCH)
        await self._all(self._poster.attempt(delivery) for delivery in open_deliveries)
        await self._follow_up_all()
        return await self._pause()

    async def _claim_all(self) -> None:
        while due := await self._subscriptions.due(self._clock.now(), BATCH):
            claimed = [await self._claim_guarded(subscription) for subscription in due]
            if not all(claimed):
                return  # the next tick tries again

    async def _claim_guarded(self, subscription: Subscription) -> bool:
        """Whether it went well; the unexpected error of one channel must not hold up the others."""
        try:
            await self._claim(subscription)
        except Exception:
            log.exception("channel %d: unexpected error in a claim", subscription.channel_id)
            return False
        return True

    async def _claim(self, subscription: Subscription) -> None:
        now = self._clock.now()
        late = too_late(subscription.next_slot.instant, now, self._catch_up)
        state, reason = (State.MISSED, "weekbot was not running") if late else (State.PENDING, None)
        delivery = await self._deliveries.claim(subscription, planner(self._library(), state, reason), now)
        if delivery and delivery.state is State.MISSED:
            log.warning("missed: channel %d, slot %s", subscription.channel_id, delivery.slot)

    async def _follow_up_all(self) -> None:
        open_steps = await self._steps.open(self._clock.now(), BATCH)
        by_delivery: dict[str, list[Step]] = {}
        for step in open_steps:
            by_delivery.setdefault(step.delivery.id, []).append(step)
        await self._all(self._follow_up_in_turn(steps) for steps in by_delivery.values())

    async def _follow_up_in_turn(self, steps: list[Step]) -> None:
        for step in steps:
            await self._follow_up.attempt(step)

    async def _all(self, works: Iterable[Coroutine[Any, Any, None]]) -> None:
        await asyncio.gather(*(self._one_of_many(work) for work in works))

    async def _one_of_many(self, work: Coroutine[Any, Any, None]) -> None:
        """Several at a time; the unexpected error of one must not keep the others from being sent."""
        async with self._places:
            if self._stopping.is_set():
                work.close()
                return
            try:
                await work
            except Exception:
                log.exception("unexpected error in a delivery; it is tried again")

    async def _pause(self) -> timedelta | None:
        retries = [await self._deliveries.next_retry(), await self._steps.next_retry()]
        earliest = min((retry for retry in retries if retry), default=None)
        pause = earliest - self._clock.now() if earliest else TICK
        return max(pause, timedelta()) if pause < TICK else None
