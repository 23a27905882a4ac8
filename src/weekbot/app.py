"""The composition root: settings become a library, a store, a bot, a dispatcher and the scheduler that wakes it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
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
from weekbot.bot.pinged_roles import PingedRoles
from weekbot.bot.post_cards import PostCards
from weekbot.bot.services import Services
from weekbot.bot.welcome import Welcome
from weekbot.clock import Clock
from weekbot.content.library import Library
from weekbot.content.live import LiveLibrary
from weekbot.delivery.by_hand import ByHand
from weekbot.delivery.corrections import Corrections
from weekbot.delivery.dispatch import TICK, Dispatcher, Only, Source
from weekbot.delivery.follow_up import FollowUp
from weekbot.delivery.invalid_requests import MOST, InvalidRequests
from weekbot.delivery.notifier import Notifier
from weekbot.delivery.outlook import Outlook
from weekbot.delivery.pacing import Pace
from weekbot.delivery.poster import Poster
from weekbot.delivery.posts import Posts
from weekbot.delivery.preflight import Preflight
from weekbot.delivery.reconciler import Reconciler
from weekbot.delivery.sender import DiscordSender
from weekbot.errors import WeekbotError
from weekbot.metrics import Metrics
from weekbot.readiness import LOOK_SECONDS, Readiness
from weekbot.recent import Recent
from weekbot.settings import Settings, content_directory
from weekbot.store import backlog
from weekbot.store.away import DatabaseAwayError
from weekbot.store.copies import Copies
from weekbot.store.database import Database
from weekbot.store.deliveries import Deliveries
from weekbot.store.duties import Duties
from weekbot.store.facts import Facts
from weekbot.store.follows import Follows
from weekbot.store.guilds import Guilds
from weekbot.store.members import Members
from weekbot.store.notices import Notices
from weekbot.store.pings import Pings
from weekbot.store.pruning import Pruning
from weekbot.store.reconciliations import Reconciliations
from weekbot.store.sole_use import shared_use
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscription, Subscriptions
from weekbot.store.supply import Supply
from weekbot.waiting import UnderWay, end

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=15)  # with a process that is about to end, or corrects posts, in the same SQLite file
ASIDE = (1.0, 6.0)  # requests a second of a process that does not send, and at once, as it logs in
LINGER = timedelta(milliseconds=100)  # a few posts of a broadcast are recorded together


Job = Callable[[], Awaitable[object]]


class Turn:
    """This process's turn to send, which begins when it has looked which servers the bot is in."""

    def __init__(self, duties: Duties) -> None:
        self.duties = duties
        self._begun_in = 0

    def __call__(self) -> bool:
        return self.duties.sends() and self._begun_in == self.duties.term

    def begin(self) -> None:
        self._begun_in = self.duties.term


@dataclass(frozen=True)
class App:
    """All parts, wired and not yet running."""

    client: Weekbot
    services: Services
    live: LiveLibrary
    turn: Turn
    dispatcher: Dispatcher
    preflight: Preflight
    outlook: Outlook
    metrics: Metrics
    readiness: Readiness
    pruning: Pruning


@asynccontextmanager
async def build(settings: Settings, clock: Clock, live: LiveLibrary | None = None) -> AsyncIterator[App]:
    """Wire everything over an up-to-date database, with the content that is set or `live`; close it at the end.

    Raises ContentError, DatabaseUnusableError, and InUseError where another process is using the database.
    """
    live = live or LiveLibrary(content_directory(settings))
    async with Database(settings.database_url) as database:
        await database.upgrade()
        async with shared_use(database, PATIENCE) as (duties, fenced):
            yield _wire(settings, clock, live, database, duties, fenced)


def _wire(
    settings: Settings, clock: Clock, live: LiveLibrary, database: Database, duties: Duties, fenced: Database
) -> App:
    """What sends writes to the database that is `fenced`."""
    catch_up, pace, aside = timedelta(hours=settings.catch_up_hours), Pace(settings.requests_per_second), Pace(*ASIDE)
    subscriptions, deliveries, steps = Subscriptions(database), Deliveries(fenced, LINGER), Steps(fenced)
    guilds, notices = Guilds(database), Notices(database)
    turn, metrics, invalid = Turn(duties), Metrics(), InvalidRequests()

    def share() -> Pace:
        return pace if duties.sends() else aside

    client = Weekbot(Facts(database), share, duties, metrics, invalid, settings.shard_count, settings.shard_ids)
    sender, inspection = DiscordSender(client, PostCards(), custom_ids.delivered), Inspection(client)

    def library() -> Library:
        return live.current

    poster = Poster(library, deliveries, sender, clock, catch_up, metrics)
    reconciliations = Reconciliations(fenced)
    posts = Posts(library, subscriptions, deliveries, reconciliations, poster, clock, catch_up, metrics)
    reconciler = Reconciler(library, reconciliations, sender, clock)
    follow_up = FollowUp(library, steps, sender, clock, catch_up)
    notifier = Notifier(notices, Noticeboard(client, subscriptions), clock, client.own_shards)
    corrections = Corrections(library, Copies(fenced), sender, clock)
    first: list[Source] = [Only(posts, turn), Only(reconciler, turn), Only(follow_up, turn)]
    sources = [*first, notifier, Only(corrections, turn)]
    dispatcher = Dispatcher(sources, share, clock)
    asked = Deliveries(database)
    by_hand = ByHand(library, asked, poster, follow_up, dispatcher, clock, turn)
    pinged_roles = PingedRoles(client, Pings(database), clock)

    async def inspect(subscription: Subscription) -> str | None:
        """A subscription that changes thereby is looked at again."""
        await pinged_roles.look_at(subscription)
        return await inspection(subscription)

    preflight = Preflight(subscriptions, notices, inspect, clock, client.own_shards)
    services = Services(
        library=library,
        subscriptions=subscriptions,
        deliveries=asked,
        steps=steps,
        guilds=guilds,
        members=Members(database, LINGER),
        by_hand=by_hand,
        inspection=inspection,
        membership=Membership(guilds, client.servers, client.locales, clock),
        welcome=Welcome(guilds, clock),
        pinged_roles=pinged_roles,
        following=Following(client, settings.home_channel_id, Follows(database), clock),
        improvement=partial(file_of, settings.content_repository),
        usage=metrics,
        clock=clock,
    )
    client.prepare(services)
    outlook = Outlook(library, Supply(database), metrics.short_of_topics.set)
    readiness = Readiness(
        unconnected=client.unconnected,
        last_look=lambda: dispatcher.last_look,
        backlog=Recent(lambda: backlog.look(database, clock.now()), LOOK_SECONDS),
        sends=turn,
        problems=lambda: live.problems,
        invalid=invalid,
        clock=clock,
        catch_up=catch_up,
    )
    _show(metrics, live, turn, share, invalid)
    return App(client, services, live, turn, dispatcher, preflight, outlook, metrics, readiness, Pruning(fenced))


def _show(metrics: Metrics, live: LiveLibrary, turn: Turn, share: Callable[[], Pace], invalid: InvalidRequests) -> None:
    """What is as it is whenever Prometheus asks."""
    metrics.content_version = lambda: live.current.version
    metrics.invalid_allowed.set(MOST)
    for gauge, value in (
        (metrics.topics, lambda: len(live.current.topics)),
        (metrics.problems, lambda: live.problems),
        (metrics.sends, turn),
        (metrics.term, lambda: turn.duties.term),
        (metrics.requests_allowed, lambda: share().requests_per_second),
        (metrics.invalid, lambda: invalid.count),
    ):
        gauge.set_function(value)


async def _look_ahead(app: App) -> None:
    """What is found is told at once, not at the next tick."""
    if await app.preflight.run():
        await app.dispatcher.run()


async def _look_after_servers(app: App) -> None:
    await app.services.membership.speak()
    if app.turn():
        await app.services.membership.look_after()


async def _look_out(app: App) -> None:
    if app.turn():
        await app.outlook.look()


async def _prune(app: App) -> None:
    if app.turn():
        await app.pruning.go_on(app.services.clock.now())


@asynccontextmanager
async def delivering(app: App, every: timedelta = TICK) -> AsyncIterator[None]:
    """Deliver what is due, now and at every tick, and reload content that was saved, until the block ends.

    What is in flight at the end is finished. The client must be online.
    """
    await app.live.refresh()
    scheduler = AsyncIOScheduler(job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})
    under_way = UnderWay()

    def soon(job: Job) -> None:
        scheduler.add_job(under_way.run, args=[partial(_told, job)])

    def each(job: Job, **period: float) -> None:
        scheduler.add_job(under_way.run, "interval", args=[partial(_told, job)], **period)

    for job in (app.dispatcher.run, partial(_look_ahead, app)):
        soon(job)
        each(job, seconds=every.total_seconds())
    each(partial(_look_after_servers, app), hours=1)
    each(partial(_look_out, app), days=1)
    each(partial(_prune, app), minutes=1)
    taking_over = asyncio.create_task(_take_over(app, soon))
    watching = asyncio.create_task(app.live.watch())
    app.turn.duties.on_hurry(lambda: soon(app.dispatcher.run))
    scheduler.start()
    try:
        yield
    finally:
        app.turn.duties.on_hurry(lambda: None)
        scheduler.pause()
        await end(taking_over)
        await app.dispatcher.stop()
        await under_way.end()  # the scheduler would cancel it
        scheduler.shutdown(wait=False)
        await end(watching)


async def _take_over(app: App, soon: Callable[[Job], None]) -> None:
    """Each time when the sending comes to this process: look first which servers the bot is in, then begin."""
    async for _ in app.turn.duties.begun():
        await _told(app.services.membership.look_after)
        app.turn.begin()
        soon(app.dispatcher.run)
        soon(partial(_look_out, app))


async def _told(job: Job) -> None:
    """Do it; what goes wrong is told in the log, what may pass in one line, and the next time will do."""
    try:
        await job()
    except DatabaseAwayError as error:
        log.warning("the database does not do what it is asked to (%s); trying again at the next tick", error.reason)
    except WeekbotError as error:
        log.warning("%s", error)
    except Exception:
        log.exception("unexpected error; trying again at the next tick")
