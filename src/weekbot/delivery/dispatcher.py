"""The dispatcher: claims jobs from its queues as fast as requests may be sent, and runs them."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from weekbot.delivery.ports import RequestBudget
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.log import RepeatedWarnings
from weekbot.runtime.loop import now
from weekbot.runtime.tasks import cancel_and_wait, wait_for_first

log = logging.getLogger(__name__)

TICK = timedelta(minutes=1)
RESPONSE_SECONDS = 5.0  # if responses take longer on average, the dispatcher slows down
POLL_SECONDS = 1.0  # the longest wait for a response before due jobs are claimed
SHUTDOWN_SECONDS = 20.0  # for the jobs in flight
FIRST_QUEUE_LAST = 4  # every fourth poll begins with the other queues, so that no broadcast delays them for long

Job = Coroutine[Any, Any, None]


class JobQueue(Protocol):
    """A claimed job is leased in the database, so that it isn't claimed twice, nor lost with the process."""

    async def claim(self, limit: int) -> Sequence[Job]: ...
    async def next_at(self) -> datetime | None:
        """The instant at which the next job is due, as far as is known."""


@dataclass(eq=False)
class Dispatcher:
    """`run` is called each minute and at start. All state that must survive is in the database.

    Most of the time, the first queue that has due jobs comes first. The next jobs are started when hardly any request
    waits to be sent, so the number in flight adapts to Discord's response time. `budget` is called each time, because
    the leader's differs from that of other processes. No job is started while all requests are `paused`.
    """

    queues: Sequence[JobQueue]
    budget: Callable[[], RequestBudget]
    clock: Clock
    paused: Callable[[], timedelta] = timedelta

    def __post_init__(self) -> None:
        self._in_flight: set[asyncio.Task[None]] = set()
        self._polls = 0
        self._warnings = RepeatedWarnings(log, "deliveries failed unexpectedly and will be retried")
        self.last_poll: float | None = None  # the instant of the last successful one, on the event loop's clock
        self._running = asyncio.Lock()
        self._run: asyncio.Task[None] | None = None  # the event loop holds only weak references to tasks
        self._woken, self._stopping = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Run all jobs that are due now or before the next tick. If it is already running, poll at once."""
        if self._running.locked():
            self._woken.set()
            return
        async with self._running:
            while not self._stopping.is_set():
                self._woken.clear()
                started = await self._start_next() if not self.paused() else False
                self.last_poll = now()
                if started:
                    continue
                if pause := self.paused():
                    seconds = min(pause.total_seconds(), POLL_SECONDS)  # the pause may be extended meanwhile
                    await wait_for_first(asyncio.sleep(seconds), self._stopping.wait())
                elif self._in_flight:
                    await self._wait_for_job()
                elif (idle := await self._time_until_next()) is not None:
                    await wait_for_first(self.clock.sleep(idle), self._stopping.wait(), self._woken.wait())
                elif not self._woken.is_set():
                    return

    def wake(self) -> None:
        self._woken.set()
        if not self._running.locked() and (self._run is None or self._run.done()):
            self._run = asyncio.create_task(self._run_logged(self.run()))

    async def run_job(self, job: Job) -> None:
        """Run the job now, unless the dispatcher is stopping."""
        if self._stopping.is_set():
            job.close()
        else:
            await asyncio.shield(self._start(job))

    async def stop(self) -> None:
        """Start no more jobs, and wait for those in flight; after a while they are cancelled and left to the ledger."""
        self._stopping.set()
        async with self._running:
            if self._in_flight:
                _, late = await asyncio.wait(self._in_flight, timeout=SHUTDOWN_SECONDS)
                await cancel_and_wait(*late)
        if self._run:
            await self._run

    async def _start_next(self) -> bool:
        """Start the next jobs as soon as they can be sent; False if none is due."""
        while len(self._in_flight) >= self._max_in_flight() and not self._stopping.is_set():
            await self._wait_for_job()
        for queue in self._ordered_queues():
            if self._stopping.is_set():
                return False
            batch = max(2, round(self.budget().requests_per_second / 4))
            if jobs := await queue.claim(min(batch, self._max_in_flight() - len(self._in_flight))):
                for job in jobs:
                    await self.budget().wait_for_capacity()
                    self._start(job)
                return True
        return False

    def _max_in_flight(self) -> int:
        return max(10, round(self.budget().requests_per_second * RESPONSE_SECONDS))

    def _ordered_queues(self) -> Sequence[JobQueue]:
        self._polls += 1
        return self.queues if self._polls % FIRST_QUEUE_LAST else [*self.queues[1:], self.queues[0]]

    def _start(self, job: Job) -> asyncio.Task[None]:
        task = asyncio.create_task(self._run_logged(job))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return task

    async def _wait_for_job(self) -> None:
        in_flight = set(self._in_flight)  # as the last one may end before `wait` begins
        ended = asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED, timeout=POLL_SECONDS)
        await wait_for_first(ended, self._stopping.wait())

    async def _time_until_next(self) -> timedelta | None:
        """The time until the next job is due; None if that is after the next tick."""
        known = [await queue.next_at() for queue in self.queues]
        earliest = min((instant for instant in known if instant), default=None)
        idle = earliest - self.clock.now() if earliest else TICK
        return max(idle, timedelta()) if idle < TICK else None

    async def _run_logged(self, job: Job) -> None:
        try:
            await job
        except WeekbotError as error:
            self._warnings.warn(str(error), "a delivery failed unexpectedly and will be retried: %s", error)
        except Exception:
            log.exception("unexpected error in a delivery; it is tried again")
