"""The composition root: settings become a library, a store, a bot, and the dispatcher that posts."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from yarl import URL

from weekbot.bot.assembly import add_interface
from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.formatting import file_of
from weekbot.bot.cards.post_renderer import RenderedPosts, new_mark
from weekbot.bot.commands.registration import Registration
from weekbot.bot.footnotes import Footnotes
from weekbot.bot.gateway.client import GatewayOptions, Weekbot
from weekbot.bot.gateway.guild_events import GuildEvents
from weekbot.bot.lateness import Lateness
from weekbot.bot.repositories import Repositories
from weekbot.bot.topic_lookup import TopicLookup
from weekbot.bot.welcome import Welcome
from weekbot.cluster.process_lock import join_cluster
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.db.database import Database
from weekbot.delivery.assembly import DeliveryParts, DiscordPorts, Stores
from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.delivery.preflight import Preflight
from weekbot.delivery.reopening import Reopening
from weekbot.delivery.token_users import Sign, TokenUsers
from weekbot.delivery.topic_shortage import ShortageWarning
from weekbot.delivery.traffic import Traffic
from weekbot.delivery.worker import LeaderGate
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
from weekbot.store.reports import backlog
from weekbot.store.reports.slot_load import posts_until_turn
from weekbot.store.reports.topic_shortage import ShortageReport
from weekbot.store.reports.unreadable_rows import unknown_names
from weekbot.store.session_starts import SessionStarts
from weekbot.store.subscriptions import Subscriptions

PATIENCE = timedelta(seconds=15)  # with a process that is about to end, or corrects posts, in the same SQLite file
STANDBY_RATE = (1.0, 6.0)  # requests a second while another process is the leader, and at once, to log in
LONGEST_QUESTION_SECONDS = 10.0
UNKNOWN_SESSIONS = (math.nan, math.nan)
LINGER = timedelta(milliseconds=100)  # a few posts of a broadcast are recorded together


@dataclass(eq=False, repr=False)
class App:
    """All parts of the bot; none is running yet. What only the leader may write goes to the `fenced` database."""

    settings: Settings
    clock: Clock
    live: LiveLibrary
    database: Database
    fenced: Database
    node: ClusterNode

    def __post_init__(self) -> None:
        settings, database = self.settings, self.database
        self.leader_gate = LeaderGate(self.node)
        self.metrics, self.traffic = Metrics(), Traffic()
        self.circuit_breaker, self.rate_limits = CircuitBreaker(), RateLimits()
        self.catch_up = timedelta(hours=settings.catch_up_hours)
        self.current_rate, self.standby_rate = RateLimiter(settings.requests_per_second), RateLimiter(*STANDBY_RATE)
        self.guilds, self.metadata = Guilds(database), Metadata(database)
        self.subscriptions = Subscriptions(database, settings.subscriptions_per_server)
        self.token_users = TokenUsers(self.metadata, self.clock, self.metrics.token_used_elsewhere)
        self.checkpoint = database.checkpoint
        self.unknown_names = partial(unknown_names, database)
        self.pruning = Pruning(self.fenced)
        self._build_client()
        self._build_delivery()
        self._build_interface()
        self._build_readiness()
        self._set_gauges()

    async def ask_if_in_doubt(self) -> None:
        """Ask Discord anything if the machine's clock was set meanwhile, or nothing seems to get through.

        Any answer has the time, and shows that the trouble is a single channel's.
        """
        clock_in_doubt = isinstance(self.clock, ServerClock) and self.clock.in_doubt
        if clock_in_doubt or (self.traffic.trouble and self.traffic.silence > LONGEST_SILENCE / 2):
            async with deadline_at(from_now(LONGEST_QUESTION_SECONDS)):
                await self.client.probe()

    def rate(self) -> RateLimiter:
        return self.current_rate if self.node.is_leader() else self.standby_rate

    def _build_client(self) -> None:
        settings, record = self.settings, self.token_users.record
        foreign_responses = ForeignResponseDetector(partial(record, Sign.ANSWER))
        self.session_record = SessionRecord(self.metadata, process_name(settings.shard_ids), self.clock.now)
        gateway_url = URL(str(settings.discord_gateway_url)) if settings.discord_gateway_url else None
        http_trace = HttpTrace(
            self.rate,
            circuit_breaker=self.circuit_breaker,
            rate_limits=self.rate_limits,
            on_finished=self.metrics.requested,
            on_date=self.clock.observe if isinstance(self.clock, ServerClock) else lambda _: None,
            traffic=self.traffic,
            foreign_responses=foreign_responses,
        )
        self.client = Weekbot(
            GatewayOptions(settings.shard_count, settings.shard_ids, gateway_url),
            http_trace,
            self.node,
            metrics=self.metrics,
            response_detector=foreign_responses,
            session_record=self.session_record,
            session_monitor=SessionMonitor(SessionStarts(self.database), self.clock, partial(record, Sign.SESSION)),
            clock=self.clock,
        )
        self.checks = ChannelChecks(self.client)
        self.guild_registry = GuildRegistry(self.guilds, self.client, self.clock)
        self.pinged_roles = PingedRoles(self.client, RolePings(self.database), self.clock)

    def _build_delivery(self) -> None:
        client, record_sign = self.client, partial(self.token_users.record, Sign.POST)
        self.renderer = RenderedPosts(self.settings.home_channel_id, new_mark())
        sender = DiscordSender(client, self.renderer, custom_ids.delivered, client.is_current, record_sign)
        delivery = self.delivery = DeliveryParts(
            Stores(self.database, self.fenced, self.subscriptions, LINGER),
            DiscordPorts(
                sender=sender,
                editor=sender,
                notices=NoticeChannels(client, self.subscriptions),
                budget=self.rate,
                has_left=self.guild_registry.has_left,
                paused=lambda: self.rate_limits.pause,
                shards=client.own_shards,
            ),
            library=lambda: self.live.current,
            clock=self.clock,
            catch_up=self.catch_up,
            metrics=self.metrics,
            token_users=self.token_users,
            is_leader=self.leader_gate,
        )
        self.dispatcher, self.reconciliations = delivery.dispatcher, delivery.reconciliations
        self.refused_topics = delivery.context.refused_topics
        self.preflight = Preflight(self.subscriptions, delivery.notices, self._inspect, self.clock, client.own_shards)
        self.reopening = Reopening(delivery.deliveries, self.checks, self.clock, self.catch_up)
        report = ShortageReport(self.database)
        self.topic_shortage = ShortageWarning(delivery.context.library, report, self.metrics.supplied)

    async def _inspect(self, subscription: Subscription) -> str | None:
        """Check the subscription without its role, if that was deleted."""
        await self.pinged_roles.check(subscription)
        return await self.checks(subscription)

    def _build_interface(self) -> None:
        """Add the commands and buttons to the client, and connect its events to their parts."""
        self.repositories = Repositories(
            subscriptions=self.subscriptions,
            deliveries=self.delivery.deliveries,
            steps=self.delivery.steps,
            guilds=self.guilds,
            members=Members(self.database, LINGER),
            follows=Follows(self.database),
        )
        self.footnotes = Footnotes(self.delivery.deliveries, self.subscriptions.effective_channel)
        posts = partial(posts_until_turn, self.database)
        self.lateness = Lateness(posts, self.settings.requests_per_second, self.clock)
        improvement = partial(file_of, self.settings.content_repository)
        command_tree = add_interface(
            self.client,
            self.repositories,
            TopicLookup(self.delivery.context.library, self.footnotes, improvement, self.metrics),
            manual=self.delivery.manual,
            renderer=self.renderer,
            checks=self.checks,
            lateness=self.lateness,
            home_channel_id=self.settings.home_channel_id,
            metrics=self.metrics,
            clock=self.clock,
        )
        self.registration = Registration(command_tree, self.metadata, partial(self.token_users.record, Sign.COMMANDS))
        GuildEvents(
            client=self.client,
            guilds=self.guilds,
            registry=self.guild_registry,
            welcome=Welcome(self.guilds, self.clock),
            pinged_roles=self.pinged_roles,
            reopening=self.reopening,
        ).listen()

    def _build_readiness(self) -> None:
        measure = partial(backlog.measure, self.database)
        self.readiness = Readiness(
            unconnected=self.client.disconnected_shards,
            last_poll=lambda: self.dispatcher.last_poll,
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
        metrics, client, live = self.metrics, self.client, self.live
        metrics.content_version = lambda: live.current.version
        metrics.invalid_allowed.set(MAX_INVALID_REQUESTS)
        for gauge, value in (
            (metrics.topics, lambda: len(live.current.topics)),
            (metrics.problems, lambda: live.problems),
            (metrics.set_aside, lambda: len(self.refused_topics.topics(live.current))),
            (metrics.is_leader, self.leader_gate),
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
            app = App(settings, clock, live, database, fenced, node)
            try:
                yield app
            finally:
                await app.footnotes.stop()
                await app.lateness.stop()
