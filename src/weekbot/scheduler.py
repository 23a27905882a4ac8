"""Schedules the dispatcher on each minute, and the maintenance jobs in between."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

from weekbot.app import App
from weekbot.db.errors import DatabaseUnavailableError
from weekbot.delivery.dispatcher import TICK
from weekbot.delivery.retry import pause
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.tasks import cancel_and_wait

log = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # periods are counted from here
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CHECKPOINT = timedelta(seconds=10)  # a copy of the file alone lacks later commits

ScheduledJob = Callable[[], Awaitable[object]]


class Scheduler:
    """Starts each job in its own task, and logs its errors."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loops: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop holds only weak references to tasks

    def start(self, job: ScheduledJob) -> asyncio.Task[None]:
        task = asyncio.create_task(_run_logged(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start_every(self, period: timedelta, job: ScheduledJob, offset: timedelta = timedelta()) -> None:
        """Start the job at that offset in each period of the clock, unless it is still running."""
        self._loops.append(asyncio.create_task(self._repeat(period, job, offset)))

    def keep_running(self, job: ScheduledJob) -> None:
        """Run an endless job; if it ends all the same, restart it after a growing pause."""
        self._loops.append(asyncio.create_task(_restart_forever(job)))

    async def _repeat(self, period: timedelta, job: ScheduledJob, offset: timedelta) -> None:
        task: asyncio.Task[None] | None = None
        while True:
            # The loop's own clock measures the wait, so setting the other one shifts no job by more than a period.
            elapsed = (self._clock.now() - EPOCH - offset) % period
            await asyncio.sleep((period - elapsed).total_seconds())
            if task is None or task.done():
                task = self.start(job)

    async def pause(self) -> None:
        await cancel_and_wait(*self._loops)

    async def drain(self) -> None:
        """Wait for the running jobs, and for those that they start."""
        while self._tasks:
            await asyncio.wait(self._tasks)


@asynccontextmanager
async def delivering(app: App, every: timedelta = TICK) -> AsyncIterator[None]:
    """Deliver what is due, now and at every tick, until the block ends, and finish it. The client must be logged in."""
    await app.live.refresh()
    scheduler = Scheduler(app.clock)

    def dispatch() -> None:
        """Don't wait for the dispatcher, which may run for long and polls again if it is running."""
        scheduler.start(app.dispatcher.run)

    async def tick() -> None:
        try:
            with suppress(WeekbotError):  # `/ready` reports it, and the waiting posts have lines in the log
                await app.ask_if_in_doubt()
        finally:
            dispatch()

    for job in (tick, partial(_run_preflight, app)):
        scheduler.start(job)
        scheduler.start_every(every, job)
    _schedule_maintenance(scheduler, app)
    app.leader_gate.leadership.on_wake(dispatch)
    try:
        yield
    finally:
        app.leader_gate.leadership.on_wake(lambda: None)
        await scheduler.pause()
        await app.dispatcher.stop()
        await scheduler.drain()
        await _run_logged(partial(_record_alive, app))
        await _run_logged(app.token_users.save)


def _schedule_maintenance(scheduler: Scheduler, app: App) -> None:
    """Most jobs start between the hours and minutes, as most slots are on the hour."""

    def leader_only(job: ScheduledJob) -> ScheduledJob:
        return partial(_run_as_leader, app, job)

    scheduler.start_every(HOUR, partial(_update_servers, app), HOUR / 2)
    scheduler.start_every(HOUR, partial(_record_alive, app), HOUR / 2)
    for look_for_other_users in (app.registration.check, app.client.check_sessions):
        scheduler.start_every(HOUR, leader_only(look_for_other_users), HOUR / 2)
    scheduler.start_every(MINUTE, app.token_users.save, MINUTE / 2)
    scheduler.start_every(24 * HOUR, leader_only(app.topic_shortage.run), HOUR / 2)
    scheduler.start_every(MINUTE, leader_only(lambda: app.pruning.delete_batch(app.clock.now())), MINUTE / 2)
    scheduler.start_every(CHECKPOINT, app.checkpoint)
    scheduler.keep_running(partial(_take_over, app, scheduler))
    scheduler.keep_running(app.live.watch)


async def _run_as_leader(app: App, job: ScheduledJob) -> None:
    if app.leader_gate():
        await job()


async def _run_preflight(app: App) -> None:
    """Run the preflight and reopen refused posts, once the gateway is connected; dispatch the results at once."""
    if not app.client.came_online.is_set():
        return
    checked, reopened = await app.preflight.run(), await app.reopening.run()
    if checked or reopened:
        await app.dispatcher.run()


async def _update_servers(app: App) -> None:
    await app.guild_registry.save_locales()
    await _run_as_leader(app, app.guild_registry.reconcile)


async def _warn_of_unknown_names(app: App) -> None:
    for found in await app.unknown_names():
        log.warning("%s; it is left alone", found)


async def _record_alive(app: App) -> None:
    await _run_as_leader(app, lambda: app.reconciliations.record_alive(app.clock.now()))


async def _take_over(app: App, scheduler: Scheduler) -> None:
    """Each time this process is elected, find out which servers the bot is in before it starts to deliver."""
    async for _ in app.leader_gate.leadership.elected():
        for load in (app.refused_topics.load, app.token_users.load, app.guild_registry.reconcile):
            await _run_logged(load)
        app.leader_gate.open()
        scheduler.start(app.dispatcher.run)
        scheduler.start(partial(_run_as_leader, app, app.topic_shortage.run))
        scheduler.start(partial(_warn_of_unknown_names, app))


async def _restart_forever(job: ScheduledJob) -> None:
    for attempt in count(1):
        await _run_logged(job)
        await asyncio.sleep(pause(attempt).total_seconds())


async def _run_logged(job: ScheduledJob) -> None:
    """Log the job's error, with a traceback if it is unexpected."""
    try:
        await job()
    except DatabaseUnavailableError as error:
        log.warning("the database cannot be used (%s); trying again at the next tick", error.reason)
    except WeekbotError as error:
        log.warning("%s", error)
    except Exception:
        log.exception("unexpected error; trying again at the next tick")
