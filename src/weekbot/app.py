"""The composition root: settings become a library, a store, a bot, a dispatcher and the scheduler that wakes it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from weekbot.bot import custom_ids
from weekbot.bot.client import Weekbot
from weekbot.bot.following import Following
from weekbot.bot.inspection import Inspection
from weekbot.bot.links import file_of
from weekbot.bot.membership import Membership
from weekbot.bot.noticeboard import Noticeboard
from weekbot.bot.post_cards import PostCards
from weekbot.bot.services import Services
from weekbot.bot.welcome import Welcome
from weekbot.clock import Clock
from weekbot.content.library import Library
from weekbot.content.live import LiveLibrary
from weekbot.delivery.by_hand import ByHand
from weekbot.delivery.corrections import Corrections
from weekbot.delivery.dispatch import TICK, Dispatcher
from weekbot.delivery.follow_up import FollowUp
from weekbot.delivery.notifier import Notifier
from weekbot.delivery.outlook import Outlook
from weekbot.delivery.pacing import Pace
from weekbot.delivery.poster import Poster
from weekbot.delivery.posts import Posts
from weekbot.delivery.preflight import Preflight
from weekbot.delivery.sender import DiscordSender
from weekbot.metrics import Metrics
from weekbot.settings import Settings, content_directory
from weekbot.store.copies import Copies
from weekbot.store.database import Database
from weekbot.store.deliveries import Deliveries
from weekbot.store.facts import Facts
from weekbot.store.follows import Follows
from weekbot.store.guilds import Guilds
from weekbot.store.members import Members
from weekbot.store.notices import Notices
from weekbot.store.pruning import Pruning
from weekbot.store.sole_use import sole_use
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscriptions
from weekbot.store.supply import Supply
from weekbot.waiting import UnderWay

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=15)  # with a process that is about to end, or corrects posts
LINGER = timedelta(milliseconds=100)  # a few posts of a broadcast are recorded together


@dataclass(frozen=True)
class App:
    """All parts, wired and not yet running."""

    client: Weekbot
    services: Services
    live: LiveLibrary
    dispatcher: Dispatcher
    preflight: Preflight
    outlook: Outlook
    metrics: Metrics
    pruning: Pruning


@asynccontextmanager
async def build(settings: Settings, clock: Clock, live: LiveLibrary | None = None) -> AsyncIterator[App]:
    """Wire everything over an up-to-date database, with the content that is set or `live`; close it at the end.

    Raises ContentError, DatabaseUnusableError, and InUseError where another process is using the database.
    """
    live = live or LiveLibrary(content_directory(settings))
    database = Database(settings.database_url)
    try:
        await database.upgrade()
        async with sole_use(database, PATIENCE):
            yield _wire(settings, clock, live, database)
    finally:
        await database.close()


def _wire(settings: Settings, clock: Clock, live: LiveLibrary, database: Database) -> App:
    catch_up, pace = timedelta(hours=settings.catch_up_hours), Pace(settings.requests_per_second)
    subscriptions, deliveries, steps = Subscriptions(database), Deliveries(database, LINGER), Steps(database)
    guilds, notices = Guilds(database), Notices(database)
    client = Weekbot(Facts(database), pace, settings.shard_count, settings.shard_ids)
    sender, inspection = DiscordSender(client, PostCards(), custom_ids.more_prefix), Inspection(client)

    def library() -> Library:
        return live.current

    poster = Poster(library, deliveries, sender, clock, catch_up)
    posts = Posts(library, subscriptions, deliveries, poster, clock, catch_up)
    follow_up = FollowUp(library, steps, sender, clock, catch_up)
    notifier = Notifier(notices, Noticeboard(client), clock)
    corrections = Corrections(library, Copies(database), sender, clock)
    dispatcher = Dispatcher([posts, follow_up, notifier, corrections], pace, clock)
    by_hand = ByHand(library, deliveries, poster, follow_up, dispatcher, clock)
    preflight = Preflight(subscriptions, notices, inspection, clock)
    services = Services(
        library=library,
        subscriptions=subscriptions,
        deliveries=deliveries,
        steps=steps,
        guilds=guilds,
        members=Members(database, LINGER),
        by_hand=by_hand,
        inspection=inspection,
        membership=Membership(guilds, client.servers, client.locales, clock),
        welcome=Welcome(guilds, clock),
        following=Following(client, settings.home_channel_id, Follows(database), clock),
        improvement=partial(file_of, settings.content_repository),
        clock=clock,
    )
    client.prepare(services)
    metrics = Metrics()
    outlook = Outlook(library, Supply(database), metrics)
    return App(client, services, live, dispatcher, preflight, outlook, metrics, Pruning(database))


async def _look_ahead(app: App) -> None:
    """What is found is told at once, not at the next tick."""
    if await app.preflight.run():
        await app.dispatcher.run()


async def _prune(app: App) -> None:
    await app.pruning.go_on(app.services.clock.now())


@asynccontextmanager
async def delivering(app: App, every: timedelta = TICK) -> AsyncIterator[None]:
    """Deliver what is due, now and at every tick, and reload content that was saved, until the block ends.

    What is in flight at the end is finished. The client must be online: the first tick comes at once.
    """
    await app.live.refresh()
    scheduler = AsyncIOScheduler(job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})
    under_way = UnderWay()
    for job in (app.dispatcher.run, partial(_look_ahead, app)):
        scheduler.add_job(under_way.run, args=[job])
        scheduler.add_job(under_way.run, "interval", args=[job], seconds=every.total_seconds())
    scheduler.add_job(under_way.run, "interval", args=[app.services.membership.look_after], hours=1)
    scheduler.add_job(under_way.run, args=[app.outlook.look])
    scheduler.add_job(under_way.run, "interval", args=[app.outlook.look], days=1)
    scheduler.add_job(under_way.run, "interval", args=[partial(_prune, app)], minutes=1)
    watching = asyncio.create_task(app.live.watch())
    scheduler.start()
    try:
        yield
    finally:
        scheduler.pause()
        await app.dispatcher.stop()
        await under_way.ended()  # the scheduler would cancel it
        scheduler.shutdown(wait=False)
        watching.cancel()
