"""The composition root: settings become a library, a store, a bot, and the dispatcher that posts."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cached_property, partial

from yarl import URL

from weekbot.bot.assembly import add_interface
from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.formatting import file_of
from weekbot.bot.cards.post_renderer import RenderedPosts, new_mark
from weekbot.bot.commands.registration import Registration
from weekbot.bot.footnotes import Footnotes
from weekbot.bot.gateway.client import GatewayOptions, Weekbot
from weekbot.bot.gateway.command_tree import CommandTree
from weekbot.bot.gateway.guild_events import GuildEvents
from weekbot.bot.repositories import Repositories
from weekbot.bot.topic_lookup import TopicLookup
from weekbot.bot.welcome import Welcome
from weekbot.cluster.process_lock import join_cluster
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.db.database import Database
from weekbot.delivery.assembly import DeliveryParts, DiscordPorts, Stores, assemble
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


class App:
    """All parts of the bot. Each is built when it is first needed; none is running yet.

    What only the leader may write goes to the database that is `fenced`.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        live: LiveLibrary,
        *,
        database: Database,
        fenced: Database,
        node: ClusterNode,
    ) -> None:
        self.settings, self.clock, self.live = settings, clock, live
        self.database, self.fenced, self.node = database, fenced, node
        self.leader_gate = LeaderGate(node)
        self.metrics, self.traffic = Metrics(), Traffic()
        self.circuit_breaker, self.rate_limits = CircuitBreaker(), RateLimits()
        self.catch_up = timedelta(hours=settings.catch_up_hours)
        self.current_rate, self.standby_rate = RateLimiter(settings.requests_per_second), RateLimiter(*STANDBY_RATE)
        self.guilds, self.metadata = Guilds(database), Metadata(database)
        self.token_users = TokenUsers(self.metadata, clock, self.metrics.token_used_elsewhere)
        self.checkpoint = database.checkpoint
        self.unknown_names: Callable[[], Awaitable[Sequence[UnknownName]]] = partial(unknown_names, database)
        self.pruning = Pruning(fenced)

    def start_listening(self) -> None:
        """Add the commands and buttons to the client, and connect its events and the gauges to their parts."""
        self.command_tree = self._add_interface()
        self.guild_events.listen()
        self._set_gauges()

    async def ask_if_in_doubt(self) -> None:
        """Ask Discord anything if the machine's clock was set meanwhile, or nothing seems to get through.

        Any answer has the time, and shows that the trouble is a single channel's.
        """
        clock_in_doubt = isinstance(self.clock, ServerClock) and self.clock.in_doubt
        if clock_in_doubt or (self.traffic.trouble and self.traffic.silence > LONGEST_SILENCE / 2):
            async with deadline_at(from_now(LONGEST_QUESTION_SECONDS)):
                await self.client.probe()

    # The Discord side

    def rate(self) -> RateLimiter:
        return self.current_rate if self.node.is_leader() else self.standby_rate

    @cached_property
    def foreign_responses(self) -> ForeignResponseDetector:
        return ForeignResponseDetector(partial(self.token_users.record, Sign.ANSWER))

    @cached_property
    def http_trace(self) -> HttpTrace:
        return HttpTrace(
            self.rate,
            circuit_breaker=self.circuit_breaker,
            rate_limits=self.rate_limits,
            on_finished=self.metrics.requested,
            on_date=self.clock.observe if isinstance(self.clock, ServerClock) else lambda _: None,
            traffic=self.traffic,
            foreign_responses=self.foreign_responses,
        )

    @cached_property
    def session_record(self) -> SessionRecord:
        return SessionRecord(self.metadata, process_name(self.settings.shard_ids), self.clock.now)

    @cached_property
    def client(self) -> Weekbot:
        settings, record_sign = self.settings, partial(self.token_users.record, Sign.SESSION)
        gateway_url = URL(str(settings.discord_gateway_url)) if settings.discord_gateway_url else None
        return Weekbot(
            GatewayOptions(settings.shard_count, settings.shard_ids, gateway_url),
            self.http_trace,
            self.node,
            metrics=self.metrics,
            response_detector=self.foreign_responses,
            session_record=self.session_record,
            session_monitor=SessionMonitor(SessionStarts(self.database), self.clock, record_sign),
            clock=self.clock,
        )

    @cached_property
    def renderer(self) -> RenderedPosts:
        return RenderedPosts(self.settings.home_channel_id, new_mark())

    @cached_property
    def sender(self) -> DiscordSender:
        record_sign = partial(self.token_users.record, Sign.POST)
        return DiscordSender(self.client, self.renderer, custom_ids.delivered, self.client.is_current, record_sign)

    @cached_property
    def checks(self) -> ChannelChecks:
        return ChannelChecks(self.client)

    @cached_property
    def guild_registry(self) -> GuildRegistry:
        return GuildRegistry(self.guilds, self.client, self.clock)

    @cached_property
    def pinged_roles(self) -> PingedRoles:
        return PingedRoles(self.client, RolePings(self.database), self.clock)

    # The delivery side

    @cached_property
    def subscriptions(self) -> Subscriptions:
        return Subscriptions(self.database, self.settings.subscriptions_per_server)

    @cached_property
    def delivery(self) -> DeliveryParts:
        ports = DiscordPorts(
            sender=self.sender,
            editor=self.sender,
            notices=NoticeChannels(self.client, self.subscriptions),
            budget=self.rate,
            has_left=self.guild_registry.has_left,
            paused=lambda: self.rate_limits.pause,
            shards=self.client.own_shards,
        )
        return assemble(
            Stores(self.database, self.fenced, self.subscriptions, LINGER),
            ports,
            library=lambda: self.live.current,
            clock=self.clock,
            catch_up=self.catch_up,
            metrics=self.metrics,
            token_users=self.token_users,
            is_leader=self.leader_gate,
        )

    @cached_property
    def dispatcher(self) -> Dispatcher:
        return self.delivery.dispatcher

    @cached_property
    def reconciliations(self) -> Reconciliations:
        return self.delivery.reconciliations

    @cached_property
    def refused_topics(self) -> RefusedTopics:
        return self.delivery.context.refused_topics

    @cached_property
    def preflight(self) -> Preflight:
        async def check(subscription: Subscription) -> str | None:
            """Check the subscription without its role, if that was deleted."""
            await self.pinged_roles.check(subscription)
            return await self.checks(subscription)

        return Preflight(self.subscriptions, self.delivery.notices, check, self.clock, self.client.own_shards)

    @cached_property
    def reopening(self) -> Reopening:
        return Reopening(self.delivery.deliveries, self.checks, self.clock, self.catch_up)

    @cached_property
    def topic_shortage(self) -> ShortageWarning:
        return ShortageWarning(self.delivery.context.library, ShortageReport(self.database), self.metrics.supplied)

    # What people see

    @cached_property
    def repositories(self) -> Repositories:
        return Repositories(
            subscriptions=self.subscriptions,
            deliveries=self.delivery.deliveries,
            steps=self.delivery.steps,
            guilds=self.guilds,
            members=Members(self.database, LINGER),
            follows=Follows(self.database),
        )

    @cached_property
    def footnotes(self) -> Footnotes:
        return Footnotes(self.delivery.deliveries, self.subscriptions.effective_channel)

    def _add_interface(self) -> CommandTree:
        improvement = partial(file_of, self.settings.content_repository)
        return add_interface(
            self.client,
            self.repositories,
            TopicLookup(self.delivery.context.library, self.footnotes, improvement, self.metrics),
            manual=self.delivery.manual,
            renderer=self.renderer,
            checks=self.checks,
            home_channel_id=self.settings.home_channel_id,
            metrics=self.metrics,
            clock=self.clock,
        )

    @cached_property
    def registration(self) -> Registration:
        record_sign = partial(self.token_users.record, Sign.COMMANDS)
        return Registration(self.command_tree, self.metadata, record_sign)

    @cached_property
    def guild_events(self) -> GuildEvents:
        return GuildEvents(
            client=self.client,
            guilds=self.guilds,
            registry=self.guild_registry,
            welcome=Welcome(self.guilds, self.clock),
            pinged_roles=self.pinged_roles,
            reopening=self.reopening,
        )

    # What operators see

    @cached_property
    def readiness(self) -> Readiness:
        measure = partial(backlog.measure, self.database)
        return Readiness(
            unconnected=self.client.disconnected_shards,
            last_look=lambda: self.dispatcher.last_poll,
            backlog=TtlCache(lambda: measure(self.clock.now(), self.subscriptions.readable()), LOOK_SECONDS),
            unwritable=lambda: self.node.obstacle,
            is_leader=self.leader_gate,
            problems=lambda: self.live.problems,
            set_aside=lambda: self.refused_topics.topics(self.live.current),
            circuit_breaker=self.circuit_breaker,
            rate_limits=self.rate_limits,
            traffic=self.traffic,
            outage=self.delivery.context.outage,
            commands=lambda: self.registration.trouble,
            token=lambda: self.token_users.recent,
            clock=self.clock,
            catch_up=self.catch_up,
        )

    def _set_gauges(self) -> None:
        """Give each gauge the function that Prometheus calls."""
        metrics, client, live = self.metrics, self.client, self.live
        metrics.content_version = lambda: live.current.version
        metrics.invalid_allowed.set(MAX_INVALID_REQUESTS)
        for gauge, value in (
            (metrics.topics, lambda: len(live.current.topics)),
            (metrics.problems, lambda: live.problems),
            (metrics.set_aside, lambda: len(self.refused_topics.topics(live.current))),
            (metrics.sends, self.leader_gate),
            (metrics.term, lambda: self.node.term),
            (metrics.requests_allowed, lambda: self.rate().requests_per_second),
            (metrics.invalid, lambda: self.circuit_breaker.count),
            (metrics.failed_starts, lambda: self.session_record.failures),
            (metrics.commands_registered, lambda: self.registration.done),
            (metrics.sessions_remaining, lambda: (client.session_limit() or UNKNOWN_SESSIONS)[0]),
            (metrics.sessions_allowed, lambda: (client.session_limit() or UNKNOWN_SESSIONS)[1]),
            (metrics.shards, lambda: len(client.shard_ids or range(client.shard_count or 1))),
        ):
            gauge.set_function(value)


@asynccontextmanager
async def build(settings: Settings, clock: Clock, live: LiveLibrary | None = None) -> AsyncIterator[App]:
    """Yield the app over an up-to-date database, with the content that is set or `live`.

    Raises ContentError, DatabaseUnusableError, and InUseError if another process is using the database.
    """
    live = live or LiveLibrary(content_directory(settings))
    async with Database(settings.database_url) as database:
        await database.upgrade()
        async with join_cluster(database, PATIENCE) as (node, fenced):
            app = App(settings, clock, live, database=database, fenced=fenced, node=node)
            app.start_listening()
            try:
                yield app
            finally:
                await app.footnotes.stop()
