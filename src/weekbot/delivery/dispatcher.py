"""The dispatcher: takes work from its sources, as fast as requests may leave, and carries it out."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from weekbot.delivery.ports import RequestBudget
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.loop import now
from weekbot.runtime.repeated_warnings import RepeatedWarnings
from weekbot.runtime.tasks import cancel_and_wait, wait_for_first

log = logging.getLogger(__name__)

TICK = timedelta(minutes=1)
SLOWEST_ANSWER_SECONDS = 5.0  # slower ones on the whole slow the dispatcher down
LONGEST_LOOK_AWAY_SECONDS = 1.0  # while answers are outstanding, before it looks for what became due
LAST_ANSWERS_SECONDS = 20.0  # of Discord's, to what is in flight at the end
OTHERS_FIRST = 4  # so many looks for work, then once the first source last: no broadcast keeps the others waiting

Job = Coroutine[Any, Any, None]


class JobQueue(Protocol):
    """Something to do. What is taken is held in the store, so that it is not taken twice, nor lost with the process."""

    async def claim(self, limit: int) -> Sequence[Job]:
        """Job that is due."""

    async def next_at(self) -> datetime | None:
        """When there will be work again, as far as is known."""


class Dispatcher:
    """`run` is called each minute and at start; between two calls nothing is kept but in the store.

    Most of the time the first of the sources that has work comes first. As the next work is begun when hardly any
    request waits for its turn, there are always as many in flight as leave while one is answered. `pace` is asked each
    time, as that of a process which does not send is another one. Nothing is begun while all requests are `paused`.
    """

    def __init__(
        self,
        sources: Sequence[JobQueue],
        pace: Callable[[], RequestBudget],
        clock: Clock,
        paused: Callable[[], timedelta] = timedelta,
    ) -> None:
        self._sources = sources
        self._pace = pace
        self._clock = clock
        self._paused = paused
        self._in_flight: set[asyncio.Task[None]] = set()
        self._looks = 0
        self._trouble = RepeatedWarnings(log, "deliveries are left as they are, to be tried again")
        self.last_look: float | None = None
        """When the last look for work ended well, on the event loop's clock."""
        self._running = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None  # the loop itself keeps no task alive
        self._woken, self._stopping = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Do all that is due, and stay for what becomes due before the next tick.

        Where it is staying already it looks again at once.
        """
        if self._running.locked():
            self._woken.set()
            return
        async with self._running:
            while not self._stopping.is_set():
                self._woken.clear()
                begun = await self._begin_some() if not self._paused() else False
                self.last_look = now()
                if begun:
                    continue
                if self._paused():
                    await self._wait_out(self._paused())
                elif self._in_flight:
                    await self._look_away()
                elif (pause := await self._pause()) is not None:
                    await wait_for_first(self._clock.sleep(pause), self._stopping.wait(), self._woken.wait())
                elif not self._woken.is_set():
                    return

    def wake(self) -> None:
        """Look for work at once."""
        self._woken.set()
        if not self._running.locked():
            self._looking = asyncio.create_task(self._guarded(self.run()))

    async def carry_out(self, work: Job) -> None:
        """Do this now; nothing where the dispatcher is stopping."""
        if self._stopping.is_set():
            work.close()
        else:
            await asyncio.shield(self._start(work))

    async def stop(self) -> None:
        """Begin nothing new; return when what is in flight is recorded, or left to the ledger as it takes too long."""
        self._stopping.set()
        async with self._running:
            if self._in_flight:
                _, late = await asyncio.wait(self._in_flight, timeout=LAST_ANSWERS_SECONDS)
                await cancel_and_wait(*late)

    async def _begin_some(self) -> bool:
        """Begin the next work, when it can go out; False where there is none."""
        while len(self._in_flight) >= self._most() and not self._stopping.is_set():
            await self._look_away()
        for source in self._in_order():
            if self._stopping.is_set():
                return False
            if works := await source.claim(min(self._batch(), self._most() - len(self._in_flight))):
                for work in works:
                    await self._pace().wait_for_capacity()
                    self._start(work)
                return True
        return False

    def _batch(self) -> int:
        return max(2, round(self._pace().requests_per_second / 4))

    def _most(self) -> int:
        """That may be in flight."""
        return max(10, round(self._pace().requests_per_second * SLOWEST_ANSWER_SECONDS))

    def _in_order(self) -> Sequence[JobQueue]:
        self._looks += 1
        return self._sources if self._looks % OTHERS_FIRST else [*self._sources[1:], self._sources[0]]

    def _start(self, work: Job) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return task

    async def _look_away(self) -> None:
        """Wait until something in flight has ended, and not for too long."""
        ended = asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED, timeout=LONGEST_LOOK_AWAY_SECONDS)
        await wait_for_first(ended, self._stopping.wait())

    async def _wait_out(self, pause: timedelta) -> None:
        """Let a pause of all requests pass, which may be made longer meanwhile, and look at the time now and then."""
        seconds = min(pause.total_seconds(), LONGEST_LOOK_AWAY_SECONDS)
        await wait_for_first(asyncio.sleep(seconds), self._stopping.wait())

    async def _pause(self) -> timedelta | None:
        """How long until there is work again; None where the next tick will do."""
        known = [await source.next_at() for source in self._sources]
        earliest = min((instant for instant in known if instant), default=None)
        pause = earliest - self._clock.now() if earliest else TICK
        return max(pause, timedelta()) if pause < TICK else None

    async def _guarded(self, work: Job) -> None:
        """Run one piece of work; log its errors, so that they don't stop the others."""
        try:
            await work
        except WeekbotError as error:
            self._trouble.warn(str(error), "a delivery is left as it is, to be tried again: %s", error)
        except Exception:
            log.exception("unexpected error in a delivery; it is tried again")
