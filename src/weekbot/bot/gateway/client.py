"""The Discord client: its connections, its cache, and the interactions that this process responds to."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import discord
from discord import app_commands
from discord.http import Route
from yarl import URL

from weekbot.bot.acknowledgement import ReceivedInteractions, take_over
from weekbot.bot.gateway.unparsed_interactions import respond_unparsed
from weekbot.bot.metrics_port import UsageMetrics
from weekbot.bot.responses import Interaction, log_fields
from weekbot.discord_io.channels import shards_of
from weekbot.discord_io.errors import MISSING_ACCESS, UNKNOWN_SERVER, expect_list, map_errors
from weekbot.discord_io.foreign_responses import ForeignResponseDetector
from weekbot.discord_io.gateway.guild_cache import GuildCache
from weekbot.discord_io.gateway.session_monitor import SessionMonitor
from weekbot.discord_io.gateway.session_record import SessionRecord
from weekbot.discord_io.gateway.shard_runner import ShardRunner
from weekbot.discord_io.http_trace import HttpTrace
from weekbot.discord_io.mentions import no_mentions
from weekbot.discord_io.permissions import INVITE_PERMISSIONS
from weekbot.domain.shards import Shards
from weekbot.runtime.clock import Clock
from weekbot.runtime.leadership import ClusterNode
from weekbot.runtime.log import bind_log_context

log = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 10.0  # for responses that are being sent while the bot stops
GUILDS_PER_PAGE = 200
RESPONSE_TASKS = ("CommandTree-invoker", "discord.py: ")  # prefixes of discord.py's task names

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # weekbot doesn't use voice


@dataclass(frozen=True)
class GatewayOptions:
    """The shards of this process, and the gateway's address; None leaves the choice to Discord."""

    shard_count: int | None = None
    shard_ids: Sequence[int] | None = None
    url: URL | None = None


class Weekbot(discord.AutoShardedClient):
    """Requests only the `guilds` intent, and mentions nobody unless a message asks for it.

    Commands and event handlers are added by `CommandTree` and discord.py's `event`.
    """

    def __init__(
        self,
        options: GatewayOptions,
        http_trace: HttpTrace,
        node: ClusterNode,
        *,
        metrics: UsageMetrics,
        response_detector: ForeignResponseDetector,
        session_record: SessionRecord,
        session_monitor: SessionMonitor,
        clock: Clock,
    ) -> None:
        self.token_refused = http_trace.token_refused
        """Set when Discord rejects the token."""
        self._clock = clock
        self._metrics = metrics
        shards: dict[str, Any] = {"shard_ids": list(options.shard_ids)} if options.shard_ids else {}
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=no_mentions(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            http_trace=http_trace.config(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            shard_count=options.shard_count,
            **shards,
        )
        http_trace.install(self)
        self._node = node
        self._connected: set[int] = set()
        self._seen: set[int] = set()
        self._response_detector = response_detector
        self._session_monitor = session_monitor
        self._runner = ShardRunner(self, options.url, session_record, session_monitor.count)
        self.came_online = asyncio.Event()
        self._closing = False
        self._received = ReceivedInteractions()

    def _get_state(self, **options: Any) -> GuildCache:
        return GuildCache(
            on_dropped=self._metrics.dropped,
            now=self._clock.now,
            dispatch=self.dispatch,
            handlers=self._handlers,
            hooks=self._hooks,
            http=self.http,
            **options,
        )

    @property
    def tree(self) -> app_commands.CommandTree[Any] | None:
        """The command tree that was constructed for this client, under discord.py's usual name."""
        return self._connection._command_tree  # noqa: SLF001 - CommandTree registers itself there

    async def connect(self, *, reconnect: bool = True) -> None:  # noqa: ARG002 - it always does
        """Stay connected until the client is closed. Raises GatewayRefusedError."""
        await self._runner.run()

    async def on_shard_connect(self, shard_id: int, *, resumed: bool = False) -> None:
        if shard_id in self._seen:
            self._metrics.reconnected(resumed=resumed)
        self._seen.add(shard_id)
        self._connected.add(shard_id)
        self._node.connected(shard_id)

    async def on_shard_resumed(self, shard_id: int) -> None:
        await self.on_shard_connect(shard_id, resumed=True)

    async def on_shard_disconnect(self, shard_id: int) -> None:
        self._connected.discard(shard_id)
        self._node.disconnected(shard_id)

    async def on_unparsed_interaction(self, data: Mapping[str, Any], guild_id: int, error: Exception) -> None:
        if self._node.owns(self.own_shards().of(guild_id)):
            await respond_unparsed(self, data, error)

    async def on_error(self, event_method: str, /, *_: object, **__: object) -> None:
        log.exception("unexpected error in %s", event_method)

    async def should_respond(self, interaction: Interaction) -> bool:
        """Return whether this process owns the interaction's shard, or takes it over in time."""
        bind_log_context(log_fields(interaction))
        if self._closing or not self._received.is_new(interaction.id):
            return False
        shard_id = self.own_shards().of(interaction.guild_id or 0)
        if self._node.owns(shard_id):
            self._response_detector.watch(interaction.id, partial(self._node.owns, shard_id))
            return True
        return await self._node.inherits(shard_id) and await take_over(interaction)

    def own_shards(self) -> Shards:
        return shards_of(self)

    def disconnected_shards(self) -> list[int] | None:
        """Return this process's shards that aren't connected; None before the first one was."""
        expected = self.shard_ids or range(self.shard_count or 1)
        return sorted(set(expected) - self._connected) if self._seen else None

    def session_limit(self) -> tuple[int, int] | None:
        """Return the sessions that may still begin today, and the daily limit; None before Discord reports them."""
        return self._runner.session_limit()

    def is_current(self, guild_id: int) -> bool:
        """Return whether the cached server is up to date: its shard is connected, and every event was parsed."""
        guild, disconnected = self.get_guild(guild_id), self.disconnected_shards()
        outdated = cast("GuildCache", self._connection).outdated
        cached = guild is not None and not guild.unavailable and guild_id not in outdated
        return cached and disconnected is not None and self.own_shards().of(guild_id) not in disconnected

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Start no handlers while the client closes, because nothing would wait for them."""
        if not self._closing:
            super().dispatch(event, *args, **kwargs)

    def stand_for_election(self) -> None:
        """Let this process become the leader. The client must be logged in, which is all that posts need."""
        self._node.stand_for_election()

    async def close(self) -> None:
        """Finish the responses that are being sent, then close the connections."""
        self._closing = True
        for shard_id in self.own_shards().ids:
            self._node.disconnected(shard_id)  # another process may respond from now on
        await self._runner.stop()
        if responding := [task for task in asyncio.all_tasks() if task.get_name().startswith(RESPONSE_TASKS)]:
            await asyncio.wait(responding, timeout=SHUTDOWN_SECONDS)
        await super().close()

    async def reset_login(self) -> None:
        """Close the HTTP session of a failed login, so that another login can follow."""
        await self.http.close()
        self.http.connector = discord.utils.MISSING

    def cached_guild_ids(self) -> set[int]:
        """Return the ids of this process's servers, including those with an outage."""
        return {guild.id for guild in self.guilds}

    async def fetch_guild_ids(self) -> set[int]:
        """Return the ids of all servers that Discord lists, which may leave some out. Raises delivery errors.

        A page may be short even if more follow.
        """
        found: set[int] = set()
        with map_errors():
            while True:
                last = max(found, default=0)
                page = expect_list(await self.http.get_guilds(GUILDS_PER_PAGE, after=last, with_counts=False))
                if (ids := {int(guild["id"]) for guild in page}) <= found:
                    return found
                found |= ids

    async def excludes_bot(self, guild_id: int) -> bool:
        """Return whether Discord confirms that the bot isn't in the server. Raises delivery errors."""
        with map_errors():
            try:
                await self.http.get_guild(guild_id, with_counts=False)
            except discord.HTTPException as error:
                if error.code in (UNKNOWN_SERVER, MISSING_ACCESS):
                    return True
                raise
        return False

    async def check_sessions(self) -> None:
        """Look for sessions that another program has begun. Raises delivery errors."""
        await self._session_monitor.check(self.http)

    async def probe(self) -> None:
        """Send the cheapest request, to see whether Discord responds. Raises delivery errors."""
        with map_errors():
            await self.http.request(Route("GET", "/gateway"))

    def guild_locales(self) -> dict[int, str]:
        """Return the locales of the available servers, by id."""
        return {guild.id: str(guild.preferred_locale) for guild in self.guilds if not guild.unavailable}

    def invite_link(self) -> str:
        """Return the link that adds the bot to a server, with exactly the permissions it needs."""
        if self.application_id is None:
            raise RuntimeError("the application is known after login only")
        return discord.utils.oauth_url(self.application_id, permissions=INVITE_PERMISSIONS)
