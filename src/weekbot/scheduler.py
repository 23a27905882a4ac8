"""What runs when: the dispatcher each minute, on the minute, and what looks after the rest now and then."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from itertools import count

from weekbot.app import App
from weekbot.db.errors import DatabaseUnavailableError
from weekbot.delivery.dispatcher import TICK
from weekbot.delivery.retry import pause
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.tasks import TaskTracker, cancel_and_wait

log = logging.getLogger(__name__)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CHECKPOINT = timedelta(seconds=10)  # a copy of the file alone lacks later commits

Job = Callable[[], Awaitable[object]]


class Scheduler:
    """Begins jobs, each in a task of its own; what goes wrong in one is logged, and its next time will do.

    It waits by the event loop's clock, and asks the other one only when the next period begins: whoever sets a clock
    shifts no job by more than a period.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._periods: list[asyncio.Task[None]] = []
        self._under_way = TaskTracker()
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive

    def soon(self, job: Job) -> None:
        """Begin the job now."""
        self._begin(job)

    def _begin(self, job: Job) -> asyncio.Task[None]:
        task = asyncio.create_task(self._under_way.run(partial(_logged, job)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def each(self, period: timedelta, job: Job, after: timedelta = timedelta()) -> None:
        """Begin the job so long after the beginning of each period of the clock, unless it is still running."""
        self._periods.append(asyncio.create_task(self._repeat(period, job, after)))

    def keep_up(self, job: Job) -> None:
        """Run what goes on for ever, and again, after a growing pause, if it ends all the same."""
        self._periods.append(asyncio.create_task(_kept_up(job)))

    async def _repeat(self, period: timedelta, job: Job, after: timedelta) -> None:
        running: asyncio.Task[None] | None = None
        while True:
            await asyncio.sleep(_until_next(period, after, self._clock))
            if running is None or running.done():
                running = self._begin(job)

    async def pause(self) -> None:
        """Begin no more periods, and end what goes on for ever."""
        await cancel_and_wait(*self._periods)

    async def stop(self) -> None:
        """Begin nothing more, and return when what was begun has ended."""
        await self.pause()
        await self._under_way.drain()


@asynccontextmanager
async def delivering(app: App, every: timedelta = TICK) -> AsyncIterator[None]:
    """Deliver what is due, now and at every tick, and reload content that was saved, until the block ends.

    What is in flight at the end is finished. The client must be logged in.
    """
    await app.live.refresh()
    scheduler = Scheduler(app.clock)

    async def tick() -> None:
        """The dispatcher is not waited for: it may be at work for long, and looks again if it is."""
        await _logged(partial(_ask_if_in_doubt, app))
        scheduler.soon(app.dispatcher.run)

    for job in (tick, partial(_look_ahead, app)):
        scheduler.soon(job)
        scheduler.each(every, job)
    # In between, as most slots are on the hour.
    scheduler.each(HOUR, partial(_look_after_servers, app), after=HOUR / 2)
    scheduler.each(HOUR, partial(_note_alive, app), after=HOUR / 2)
    scheduler.each(HOUR, partial(_look_for_other_users, app), after=HOUR / 2)
    scheduler.each(MINUTE, app.token_users.save, after=MINUTE / 2)
    scheduler.each(24 * HOUR, partial(_look_for_shortage, app), after=HOUR / 2)
    scheduler.each(MINUTE, partial(_prune, app), after=MINUTE / 2)
    scheduler.each(CHECKPOINT, app.checkpoint)
    scheduler.keep_up(partial(_take_over, app, scheduler))
    scheduler.keep_up(app.live.watch)
    app.leader_gate.leadership.on_wake(lambda: scheduler.soon(app.dispatcher.run))
    try:
        yield
    finally:
        app.leader_gate.leadership.on_wake(lambda: None)
        await scheduler.pause()
        await app.dispatcher.stop()
        await scheduler.stop()
        await _logged(partial(_note_alive, app))
        await _logged(app.token_users.save)


async def _ask_if_in_doubt(app: App) -> None:
    """Suppress errors: `/ready` reports them, and the waiting posts have lines in the log."""
    with suppress(WeekbotError):
        await app.ask_if_in_doubt()


def _until_next(period: timedelta, after: timedelta, clock: Clock) -> float:
    """Seconds until it is so long after the beginning of a period, which are counted from 1970."""
    length = period.total_seconds()
    return length - (clock.now().timestamp() - after.total_seconds()) % length


async def _look_ahead(app: App) -> None:
    """Run the preflight and reopen refused posts; the results are sent at once, not at the next tick.

    Before the gateway is there nothing is known.
    """
    if not app.client.came_online.is_set():
        return
    looked, reopened = await app.preflight.run(), await app.reopening.run()
    if looked or reopened:
        await app.dispatcher.run()


async def _look_after_servers(app: App) -> None:
    await app.guild_registry.save_locales()
    if app.leader_gate():
        await app.guild_registry.reconcile()


async def _look_for_other_users(app: App) -> None:
    if app.leader_gate():
        await app.registration.check()
        await app.client.check_sessions()


async def _look_for_shortage(app: App) -> None:
    if app.leader_gate():
        await app.outlook.look()


async def _look_for_unknown_names(app: App) -> None:
    for found in await app.unknown_names():
        log.warning("%s; it is left alone", found)


async def _note_alive(app: App) -> None:
    if app.leader_gate():
        await app.reconciliations.alive(app.clock.now())


async def _prune(app: App) -> None:
    if app.leader_gate():
        await app.pruning.delete_batch(app.clock.now())


async def _take_over(app: App, scheduler: Scheduler) -> None:
    """Each time when the sending comes to this process: look first which servers the bot is in, then begin."""
    async for _ in app.leader_gate.leadership.elected():
        await _logged(app.set_aside.load)
        await _logged(app.token_users.load)
        await _logged(app.guild_registry.reconcile)
        app.leader_gate.open()
        scheduler.soon(app.dispatcher.run)
        scheduler.soon(partial(_look_for_shortage, app))
        scheduler.soon(partial(_look_for_unknown_names, app))


async def _kept_up(job: Job) -> None:
    for attempt in count(1):
        await _logged(job)
        await asyncio.sleep(pause(attempt).total_seconds())


async def _logged(job: Job) -> None:
    """Do it; what goes wrong is a line in the log, with a traceback if nobody expected it."""
    try:
        await job()
    except DatabaseUnavailableError as error:
        log.warning("the database does not do what it is asked to (%s); trying again at the next tick", error.reason)
    except WeekbotError as error:
        log.warning("%s", error)
    except Exception:
        log.exception("unexpected error; trying again at the next tick")
