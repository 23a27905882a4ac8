"""The composition root: settings become a library, a store, a bot, a dispatcher and the scheduler that wakes it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from weekbot.bot import cards, custom_ids
from weekbot.bot.client import Weekbot
from weekbot.bot.services import Services
from weekbot.clock import Clock
from weekbot.content.library import Library
from weekbot.content.live import LiveLibrary
from weekbot.delivery.dispatch import TICK, Dispatcher
from weekbot.delivery.follow_up import FollowUp
from weekbot.delivery.pacing import Pace
from weekbot.delivery.poster import Poster
from weekbot.delivery.sender import DiscordSender
from weekbot.settings import Settings, content_directory
from weekbot.store.database import Database
from weekbot.store.deliveries import Deliveries
from weekbot.store.facts import Facts
from weekbot.store.guilds import Guilds
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscriptions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class App:
    """All parts, wired and not yet running."""

    client: Weekbot
    services: Services
    live: LiveLibrary


@asynccontextmanager
async def build(settings: Settings, clock: Clock) -> AsyncIterator[App]:
    """Wire everything over an up-to-date database; close it at the end.

    Raises ContentError and DatabaseUnusableError.
    """
    live = LiveLibrary(content_directory(settings))
    database = Database(settings.database_url)
    try:
        await database.upgrade()
        yield _wire(settings, clock, live, database)
    finally:
        await database.close()


def _wire(settings: Settings, clock: Clock, live: LiveLibrary, database: Database) -> App:
    catch_up = timedelta(hours=settings.catch_up_hours)
    subscriptions, deliveries, steps = Subscriptions(database), Deliveries(database), Steps(database)
    client = Weekbot(Facts(database), Pace(settings.requests_per_second), settings.shard_count, settings.shard_ids)
    sender = DiscordSender(client, cards.post, custom_ids.more_prefix)

    def library() -> Library:
        return live.current

    poster = Poster(library, deliveries, sender, clock, catch_up)
    follow_up = FollowUp(library, steps, sender, clock, catch_up)
    dispatcher = Dispatcher(library, subscriptions, deliveries, steps, poster, follow_up, clock, catch_up)
    services = Services(library, subscriptions, deliveries, steps, Guilds(database), dispatcher, clock)
    client.prepare(services)
    return App(client, services, live)


@asynccontextmanager
async def delivering(app: App, every: timedelta = TICK) -> AsyncIterator[None]:
    """Deliver what is due, now and at every tick, and reload content that was saved, until the block ends.

    What is in flight at the end is finished. The client must be online: the first tick comes at once.
    """
    scheduler = AsyncIOScheduler(job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})
    scheduler.add_job(app.services.dispatcher.run)
    scheduler.add_job(app.services.dispatcher.run, "interval", seconds=every.total_seconds())
    watching = asyncio.create_task(app.live.watch())
    scheduler.start()
    try:
        yield
    finally:
        scheduler.pause()
        await app.services.dispatcher.stop()
        scheduler.shutdown(wait=False)
        watching.cancel()
