"""The composition root: settings become a library, a store, a bot, a dispatcher and the scheduler that wakes it."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from yarl import URL

from weekbot.bot.assembly import Repositories, add_interface
from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.formatting import file_of
from weekbot.bot.cards.post_renderer import RenderedPosts, new_mark
from weekbot.bot.commands.registration import Registration
from weekbot.bot.footnotes import Footnotes
from weekbot.bot.gateway.client import GatewayOptions, Weekbot
from weekbot.bot.gateway.guild_events import GuildEvents
from weekbot.bot.topic_lookup import TopicLookup
from weekbot.bot.welcome import Welcome
from weekbot.cluster.process_lock import join_cluster
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.db.database import Database
from weekbot.delivery.assembly import DiscordPorts, Stores, assemble
from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.delivery.dispatcher import Dispatcher
from weekbot.delivery.leader_gate import LeaderGate
from weekbot.delivery.preflight import Preflight
from weekbot.delivery.refused_topics import RefusedTopics
from weekbot.delivery.reopening import Reopening
from weekbot.delivery.token_users import Sign, TokenUsers
from weekbot.delivery.topic_shortage import ShortageWarning
from weekbot.delivery.traffic import Traffic
from weekbot.discord_io.channel_checks import ChannelChecks
from weekbot.discord_io.circuit_breaker import MAX_INVALID_REQUESTS, CircuitBreaker
from weekbot.discord_io.foreign_responses import ForeignResponseDetector
from weekbot.discord_io.gateway.session_monitor import SessionMonitor
from weekbot.discord_io.gateway.session_record import SessionRecord, process_name
from weekbot.discord_io.guild_registry import GuildRegistry
from weekbot.discord_io.http_trace import HttpTrace
from weekbot.discord_io.notice_channel import NoticeChannels
from weekbot.discord_io.pinged_roles import PingedRoles
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rate_limits import RateLimits
from weekbot.discord_io.sender import DiscordSender
from weekbot.discord_io.server_time import ServerClock
from weekbot.domain.subscriptions import Subscription
from weekbot.ops.metrics import Metrics
from weekbot.ops.readiness import LONGEST_SILENCE, LOOK_SECONDS, Readiness
from weekbot.runtime.clock import Clock
from weekbot.runtime.leadership import ClusterNode
from weekbot.runtime.ttl_cache import TtlCache
from weekbot.settings import Settings, content_directory
from weekbot.store.follows import Follows
from weekbot.store.guilds import Guilds
from weekbot.store.members import Members
from weekbot.store.metadata import Metadata
from weekbot.store.pinged_roles import RolePings
from weekbot.store.pruning import Pruning
from weekbot.store.reconciliations import Reconciliations
from weekbot.store.reports import backlog
from weekbot.store.reports.topic_shortage import ShortageReport
from weekbot.store.reports.unreadable_rows import UnknownName, unknown_names
from weekbot.store.session_starts import SessionStarts
from weekbot.store.subscriptions import Subscriptions

PATIENCE = timedelta(seconds=15)  # with a process that is about to end, or corrects posts, in the same SQLite file
STANDBY_RATE = (1.0, 6.0)  # requests a second while another process is the leader, and at once, to log in
LONGEST_QUESTION_SECONDS = 10.0
UNKNOWN_SESSIONS = (math.nan, math.nan)
LINGER = timedelta(milliseconds=100)  # a few posts of a broadcast are recorded together


@dataclass(frozen=True)
class App:
    """All parts, wired and not yet running."""

    client: Weekbot
    session_record: SessionRecord
    registration: Registration
    repositories: Repositories
    footnotes: Footnotes
    guild_registry: GuildRegistry
    pinged_roles: PingedRoles
    reopening: Reopening
    live: LiveLibrary
    leader_gate: LeaderGate
    dispatcher: Dispatcher
    preflight: Preflight
    topic_shortage: ShortageWarning
    metrics: Metrics
    readiness: Readiness
    pruning: Pruning
    checkpoint: Callable[[], Awaitable[None]]
    reconciliations: Reconciliations
    unknown_names: Callable[[], Awaitable[Sequence[UnknownName]]]
    traffic: Traffic
    refused_topics: RefusedTopics
    token_users: TokenUsers
    clock: Clock

    async def ask_if_in_doubt(self) -> None:
        """Ask Discord anything if the machine's clock was set meanwhile, or nothing seems to get through.

        Any answer has the time, and shows that the trouble is a single channel's.
        """
        clock_in_doubt = isinstance(self.clock, ServerClock) and self.clock.in_doubt
        if clock_in_doubt or (self.traffic.trouble and self.traffic.silence > LONGEST_SILENCE / 2):
            async with deadline_at(from_now(LONGEST_QUESTION_SECONDS)):
                await self.client.probe()


@asynccontextmanager
async def build(settings: Settings, clock: Clock, live: LiveLibrary | None = None) -> AsyncIterator[App]:
    """Wire everything over an up-to-date database, with the content that is set or `live`; close it at the end.

    Raises ContentError, DatabaseUnusableError, and InUseError where another process is using the database.
    """
    live = live or LiveLibrary(content_directory(settings))
    async with Database(settings.database_url) as database:
        await database.upgrade()
        async with join_cluster(database, PATIENCE) as (node, fenced):
            app = _wire(settings, clock, live, database, node, fenced)
            try:
                yield app
            finally:
                await app.footnotes.stop()


def _wire(
    settings: Settings, clock: Clock, live: LiveLibrary, database: Database, node: ClusterNode, fenced: Database
) -> App:
    """What sends writes to the database that is `fenced`."""
    catch_up, subscriptions = (
        timedelta(hours=settings.catch_up_hours),
        Subscriptions(database, settings.subscriptions_per_server),
    )
    current_rate, standby_rate = RateLimiter(settings.requests_per_second), RateLimiter(*STANDBY_RATE)
    guilds = Guilds(database)
    leader_gate, metrics = LeaderGate(node), Metrics()
    circuit_breaker, rate_limits = CircuitBreaker(), RateLimits()

    def rate() -> RateLimiter:
        return current_rate if node.is_leader() else standby_rate

    observe = clock.observe if isinstance(clock, ServerClock) else _ignore
    traffic = Traffic()
    token_users = TokenUsers(Metadata(database), clock, metrics.token_used_elsewhere)
    answers = ForeignResponseDetector(partial(token_users.record, Sign.ANSWER))
    http_trace = HttpTrace(
        rate,
        circuit_breaker=circuit_breaker,
        rate_limits=rate_limits,
        on_finished=metrics.requested,
        on_date=observe,
        traffic=traffic,
        foreign_responses=answers,
    )
    gateway_url = URL(str(settings.discord_gateway_url)) if settings.discord_gateway_url else None
    session_record = SessionRecord(Metadata(database), process_name(settings.shard_ids), clock.now)
    client = Weekbot(
        GatewayOptions(settings.shard_count, settings.shard_ids, gateway_url),
        http_trace,
        node,
        metrics=metrics,
        response_detector=answers,
        session_record=session_record,
        session_monitor=SessionMonitor(SessionStarts(database), clock, partial(token_users.record, Sign.SESSION)),
        clock=clock,
    )
    renderer = RenderedPosts(settings.home_channel_id, new_mark())
    sender = DiscordSender(
        client, renderer, custom_ids.delivered, client.is_current, partial(token_users.record, Sign.POST)
    )
    inspection = ChannelChecks(client)

    membership = GuildRegistry(guilds, client, clock)
    delivery = assemble(
        Stores(database, fenced, subscriptions, LINGER),
        DiscordPorts(
            sender=sender,
            editor=sender,
            notices=NoticeChannels(client, subscriptions),
            budget=rate,
            has_left=membership.has_left,
            paused=lambda: rate_limits.pause,
            shards=client.own_shards,
        ),
        library=lambda: live.current,
        clock=clock,
        catch_up=catch_up,
        metrics=metrics,
        token_users=token_users,
        is_leader=leader_gate,
    )
    dispatcher, refused_topics = delivery.dispatcher, delivery.context.refused_topics
    pinged_roles = PingedRoles(client, RolePings(database), clock)

    async def inspect(subscription: Subscription) -> str | None:
        """Check the subscription without its role, if that was deleted."""
        await pinged_roles.check(subscription)
        return await inspection(subscription)

    preflight = Preflight(subscriptions, delivery.notices, inspect, clock, client.own_shards)
    repositories = Repositories(
        subscriptions=subscriptions,
        deliveries=delivery.deliveries,
        steps=delivery.steps,
        guilds=guilds,
        members=Members(database, LINGER),
        follows=Follows(database),
    )
    footnotes = Footnotes(delivery.deliveries, subscriptions.effective_channel)
    tree = add_interface(
        client,
        repositories,
        TopicLookup(delivery.context.library, footnotes, partial(file_of, settings.content_repository), metrics),
        manual=delivery.manual,
        renderer=renderer,
        checks=inspection,
        home_channel_id=settings.home_channel_id,
        metrics=metrics,
        clock=clock,
    )
    reopening = Reopening(delivery.deliveries, inspection, clock, catch_up)
    GuildEvents(
        client=client,
        guilds=guilds,
        registry=membership,
        welcome=Welcome(guilds, clock),
        pinged_roles=pinged_roles,
        reopening=reopening,
    ).listen()
    registration = Registration(tree, Metadata(database), partial(token_users.record, Sign.COMMANDS))
    topic_shortage = ShortageWarning(delivery.context.library, ShortageReport(database), metrics.supplied)
    readiness = Readiness(
        unconnected=client.disconnected_shards,
        last_look=lambda: dispatcher.last_poll,
        backlog=TtlCache(lambda: backlog.measure(database, clock.now(), subscriptions.readable()), LOOK_SECONDS),
        unwritable=lambda: node.obstacle,
        is_leader=leader_gate,
        problems=lambda: live.problems,
        set_aside=lambda: refused_topics.topics(live.current),
        circuit_breaker=circuit_breaker,
        rate_limits=rate_limits,
        traffic=traffic,
        outage=delivery.context.outage,
        commands=lambda: registration.trouble,
        token=lambda: token_users.recent,
        clock=clock,
        catch_up=catch_up,
    )
    _show(metrics, live, leader_gate, rate, circuit_breaker, client, refused_topics)
    metrics.failed_starts.set_function(lambda: session_record.failures)
    metrics.commands_registered.set_function(lambda: registration.done)
    return App(
        client=client,
        session_record=session_record,
        registration=registration,
        repositories=repositories,
        footnotes=footnotes,
        guild_registry=membership,
        pinged_roles=pinged_roles,
        reopening=reopening,
        live=live,
        leader_gate=leader_gate,
        dispatcher=dispatcher,
        preflight=preflight,
        topic_shortage=topic_shortage,
        metrics=metrics,
        readiness=readiness,
        pruning=Pruning(fenced),
        checkpoint=database.checkpoint,
        reconciliations=delivery.reconciliations,
        unknown_names=partial(unknown_names, database),
        traffic=traffic,
        refused_topics=refused_topics,
        token_users=token_users,
        clock=clock,
    )


def _ignore(_: object) -> None:
    """The clock doesn't ask for answers' dates."""


def _show(
    metrics: Metrics,
    live: LiveLibrary,
    leader_gate: LeaderGate,
    rate: Callable[[], RateLimiter],
    circuit_breaker: CircuitBreaker,
    client: Weekbot,
    refused_topics: RefusedTopics,
) -> None:
    """What is as it is whenever Prometheus asks."""
    metrics.content_version = lambda: live.current.version
    metrics.invalid_allowed.set(MAX_INVALID_REQUESTS)
    for gauge, value in (
        (metrics.topics, lambda: len(live.current.topics)),
        (metrics.problems, lambda: live.problems),
        (metrics.set_aside, lambda: len(refused_topics.topics(live.current))),
        (metrics.sends, leader_gate),
        (metrics.term, lambda: leader_gate.leadership.term),
        (metrics.requests_allowed, lambda: rate().requests_per_second),
        (metrics.invalid, lambda: circuit_breaker.count),
        (metrics.sessions_remaining, lambda: (client.session_limit() or UNKNOWN_SESSIONS)[0]),
        (metrics.sessions_allowed, lambda: (client.session_limit() or UNKNOWN_SESSIONS)[1]),
        (metrics.shards, lambda: len(client.shard_ids or range(client.shard_count or 1))),
    ):
        gauge.set_function(value)
