"""The Discord client: what it listens to, which commands it has, and when they are registered."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import discord
from discord import app_commands
from discord.app_commands import Namespace
from discord.http import Route
from yarl import URL

from weekbot.bot.acknowledgement import ReceivedInteractions, is_unanswered
from weekbot.bot.buttons.routing import NEEDS_ANSWER, answer_press
from weekbot.bot.commands import all_commands
from weekbot.bot.commands.registration import Registration
from weekbot.bot.commands.translator import CommandTranslator
from weekbot.bot.gateway.connections import Connections
from weekbot.bot.gateway.guild_cache import LeanCache
from weekbot.bot.gateway.session_record import SessionRecord, process_name
from weekbot.bot.gateway.shard_runner import Gateway
from weekbot.bot.gateway.unparsed_interactions import answer_unread
from weekbot.bot.metrics_port import UsageMetrics
from weekbot.bot.responses import Interaction, explain, focused, ids_of
from weekbot.bot.services import Services
from weekbot.delivery.token_users import Sign
from weekbot.discord_io.channels import shards_of
from weekbot.discord_io.errors import MISSING_ACCESS, UNKNOWN_SERVER, expect_list, map_errors
from weekbot.discord_io.foreign_responses import ForeignResponseDetector
from weekbot.discord_io.http_trace import HttpTrace
from weekbot.discord_io.mentions import no_mentions
from weekbot.discord_io.permissions import INVITE_PERMISSIONS
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.domain.shards import Shards
from weekbot.runtime.errors import describe
from weekbot.runtime.leadership import ClusterNode
from weekbot.runtime.log import bind_log_context
from weekbot.store.metadata import Metadata
from weekbot.store.session_starts import SessionStarts

if TYPE_CHECKING:
    from discord.types.interactions import ApplicationCommandInteractionData

log = logging.getLogger(__name__)

SLASH = discord.AppCommandType.chat_input.value
LONGEST_COUNT_SECONDS = 3.0  # for which the database may hold up a connection to the gateway
LONGEST_ANSWER_SECONDS = 10.0  # of an answer that is being given while the bot stops
GUILDS_A_PAGE = 200
AT_WORK = ("CommandTree-invoker", "discord.py: ")  # how discord.py names its tasks

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # weekbot doesn't use voice


class Tree(app_commands.CommandTree["Weekbot"]):
    async def interaction_check(self, interaction: Interaction) -> bool:
        heard = time.monotonic()
        answers = await self.client.answers(interaction)
        if answers and interaction.type is discord.InteractionType.autocomplete:
            self._tell_when_answered(heard)
        return answers

    def _tell_when_answered(self, heard: float) -> None:
        """When what discord.py does for this interaction ends, it is answered."""
        usage = self.client.services.usage
        if answering := asyncio.current_task():
            answering.add_done_callback(lambda _: usage.autocompleted(time.monotonic() - heard))

    async def _call(self, interaction: Interaction) -> None:
        """Explain every error to the member, including those raised before discord.py has parsed the options."""
        try:
            if interaction.type is discord.InteractionType.autocomplete:
                await self._suggest(interaction)
            else:
                _require_slash_command(interaction)
                await super()._call(interaction)
        except Exception as error:
            await explain(interaction, error)

    async def _suggest(self, interaction: Interaction) -> None:
        """Run the autocompletion as discord.py does, but raise its errors, which discord.py would only log."""
        if not await self.interaction_check(interaction):
            return
        data = cast("ApplicationCommandInteractionData", interaction.data)
        command, options = self._get_app_command_options(data)
        typed = focused(cast("list[dict[str, Any]]", options))
        if typed is None:
            raise app_commands.CommandSignatureMismatch(command)
        await command._invoke_autocomplete(interaction, typed["name"], Namespace(interaction, {}, options))  # noqa: SLF001

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError) -> None:
        await explain(interaction, error)


def _require_slash_command(interaction: Interaction) -> None:
    """Raises CommandNotFound for other kinds of commands: weekbot has none, and discord.py doesn't know them all."""
    data = cast("ApplicationCommandInteractionData", interaction.data)
    if data.get("type", SLASH) != SLASH:
        raise app_commands.CommandNotFound(data["name"], [])


class Weekbot(discord.AutoShardedClient):
    """Asks for the `guilds` intent only, and pings nobody unless a message says so.

    `prepare` must be called with the services before it connects.
    """

    services: Services

    def __init__(
        self,
        facts: Metadata,
        http_trace: HttpTrace,
        node: ClusterNode,
        usage: UsageMetrics,
        shard_count: int | None = None,
        shard_ids: Sequence[int] | None = None,
        gateway_url: URL | None = None,
        *,
        answers: ForeignResponseDetector,
        session_starts: SessionStarts,
        notice: Callable[[Sign], object],
    ) -> None:
        self.refused = http_trace.token_refused
        """Set when Discord does not accept the token, or no longer."""
        shards: dict[str, Any] = {"shard_ids": list(shard_ids)} if shard_ids else {}
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=no_mentions(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            http_trace=http_trace.config(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            shard_count=shard_count,
            **shards,
        )
        http_trace.install(self)
        self._node = node
        self._usage = usage
        self._connections = Connections(usage)
        self._answers = answers
        self._session_starts = session_starts
        self._notice = notice
        self.session_record = SessionRecord(facts, process_name(shard_ids), self._now)
        self._gateway = Gateway(self, gateway_url, self.session_record, self._count_session)
        self.tree = Tree(self)
        self.registration = Registration(self.tree, facts, partial(notice, Sign.COMMANDS))
        self.came_online = asyncio.Event()
        self._leaving = False
        self._received = ReceivedInteractions()

    def _get_state(self, **options: Any) -> LeanCache:
        hooks = {"handlers": self._handlers, "hooks": self._hooks}
        return LeanCache(
            dropped=self._dropped, now=self._now, dispatch=self.dispatch, http=self.http, **hooks, **options
        )

    def _now(self) -> datetime:
        return self.services.clock.now()

    def _dropped(self, kind: str) -> None:
        self._usage.dropped(kind)

    def prepare(self, services: Services) -> None:
        self.services = services
        for command in all_commands(services):
            self.tree.add_command(command)

    async def setup_hook(self) -> None:
        await self.tree.set_translator(CommandTranslator())

    async def connect(self, *, reconnect: bool = True) -> None:  # noqa: ARG002 - it always does
        """Stay connected until the client is closed. Raises GatewayRefusedError."""
        await self._gateway.run()

    async def on_ready(self) -> None:
        log.info("online in %d servers; invite with %s", len(self.guilds), self.invite_link())
        try:
            await self.services.membership.save_locales()
        finally:  # each hour it is recorded again
            self.came_online.set()
        await self.services.pinged_roles.look()

    async def on_shard_connect(self, shard_id: int) -> None:
        self._connections.begun(shard_id)
        self._node.connected(shard_id)

    async def on_shard_resumed(self, shard_id: int) -> None:
        self._connections.begun(shard_id, resumed=True)
        self._node.connected(shard_id)

    async def on_shard_disconnect(self, shard_id: int) -> None:
        self._connections.ended(shard_id)
        self._node.disconnected(shard_id)

    async def on_interaction(self, interaction: Interaction) -> None:
        """Answer presses and forms; the tree answers commands."""
        if interaction.type not in NEEDS_ANSWER:
            return
        try:
            if await self.answers(interaction):
                await answer_press(interaction)
        except Exception as error:
            await explain(interaction, error)

    async def on_unread_interaction(self, data: Mapping[str, Any], guild_id: int, error: Exception) -> None:
        """Called for an interaction that discord.py can't parse."""
        if self._node.owns(self.own_shards().of(guild_id)):
            await answer_unread(self, data, error)

    async def answers(self, interaction: Interaction) -> bool:
        """Whether this process should answer: it holds the shard, or takes it over while the member waits."""
        bind_log_context(ids_of(interaction))
        if self._leaving or not self._received.is_new(interaction.id):
            return False
        shard_id = self.own_shards().of(interaction.guild_id or 0)
        if self._node.owns(shard_id):
            self._answers.watch(interaction.id, partial(self._node.owns, shard_id))
            return True
        return await self._node.inherits(shard_id) and await is_unanswered(interaction)

    def own_shards(self) -> Shards:
        """Those that this process holds."""
        return shards_of(self)

    def unconnected(self) -> list[int] | None:
        """Those of its shards that are not connected to the gateway; None before one was for the first time."""
        return self._connections.missing(self.shard_ids or range(self.shard_count or 1))

    def sessions(self) -> tuple[int, int] | None:
        """The sessions that may still begin today, and the daily limit; None before Discord has reported them."""
        return self._gateway.sessions()

    def is_current(self, guild_id: int) -> bool:
        """Whether the cached server is up to date: its shard is connected, and every event was read."""
        guild, unconnected = self.get_guild(guild_id), self.unconnected()
        doubted = cast("LeanCache", self._connection).doubted
        known = guild is not None and not guild.unavailable and guild_id not in doubted
        return known and unconnected is not None and self.own_shards().of(guild_id) not in unconnected

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Begin no work that nobody would wait for any more."""
        if not self._leaving:
            super().dispatch(event, *args, **kwargs)

    def can_send(self) -> None:
        """It is logged in: all that posts need."""
        self._node.stand_for_election()

    async def close(self) -> None:
        """Give the answers that are being given first; begin no more."""
        self._leaving = True
        for shard_id in self.own_shards().ids:
            self._node.disconnected(shard_id)  # another process may answer from now on
        await self._gateway.stop()
        if at_work := [task for task in asyncio.all_tasks() if task.get_name().startswith(AT_WORK)]:
            await asyncio.wait(at_work, timeout=LONGEST_ANSWER_SECONDS)
        await super().close()

    async def begin_anew(self) -> None:
        """Be ready for another log-in after one that failed, which leaves its session open."""
        await self.http.close()
        self.http.connector = discord.utils.MISSING

    def shown(self) -> set[int]:
        """The ids of the servers that the gateway shows, also during an outage of theirs."""
        return {guild.id for guild in self.guilds}

    async def listed(self) -> set[int]:
        """The ids of all servers that the bot is in, of which Discord may leave some out.

        A page may be short though more follow. Raises the errors of `outcomes`.
        """
        found: set[int] = set()
        with map_errors():
            while page := expect_list(await self._page_of_guilds(after=max(found, default=0))):
                ids = {int(guild["id"]) for guild in page}
                if ids <= found:
                    break
                found |= ids
        return found

    async def _page_of_guilds(self, after: int) -> object:
        return await self.http.get_guilds(GUILDS_A_PAGE, after=after, with_counts=False)

    async def excludes_bot(self, guild_id: int) -> bool:
        """Whether Discord says that the bot isn't in the server. Raises the errors of `outcomes`."""
        with map_errors():
            try:
                await self.http.get_guild(guild_id, with_counts=False)
            except discord.HTTPException as error:
                if error.code in (UNKNOWN_SERVER, MISSING_ACCESS):
                    return True
                raise
        return False

    async def _count_session(self) -> None:
        """Count the session. If that fails, connect anyway, though it may then be taken for another program's."""
        try:
            async with asyncio.timeout(LONGEST_COUNT_SECONDS):
                await self._session_starts.record(self._now())
        except Exception as error:  # members and posts need the connection in any case
            self._session_starts.mark_uncounted()
            log.warning("a session could not be counted: %s", describe(error))

    async def look_for_other_users(self) -> None:
        """Notice replaced commands, and sessions that another program has begun. Raises the errors of `outcomes`."""
        await self.registration.look()
        with map_errors():
            asked_at = self._now()
            limit = (await self.http.request(Route("GET", "/gateway/bot")))["session_start_limit"]
            remaining, reset_after = int(limit["remaining"]), timedelta(milliseconds=int(limit["reset_after"]))
        if await self._session_starts.compare(remaining, asked_at + reset_after, asked_at):
            self._notice(Sign.SESSION)

    async def ask(self) -> None:
        """Send the cheapest request, for the sake of its answer. Raises the errors of `outcomes`."""
        with map_errors():
            await self.http.request(Route("GET", "/gateway"))

    def locales(self) -> dict[int, str]:
        """The languages that servers have set, by their ids, as far as they are known."""
        return {guild.id: str(guild.preferred_locale) for guild in self.guilds if not guild.unavailable}

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """Called at start and after an outage, whose events were not received."""
        self.services.reopening.changed(guild.id)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        self.services.reopening.changed(guild.id)
        await self.services.membership.joined(guild.id)
        await self.services.welcome.greet(guild)

    async def on_guild_update(self, before: discord.Guild, after: discord.Guild) -> None:
        if before.preferred_locale != after.preferred_locale:
            await self.services.guilds.save_locales({after.id: str(after.preferred_locale)})

    async def on_guild_channel_update(self, _: discord.abc.GuildChannel, after: discord.abc.GuildChannel) -> None:
        self.services.reopening.changed(after.guild.id)

    async def on_guild_role_update(self, _: discord.Role, after: discord.Role) -> None:
        self.services.reopening.changed(after.guild.id)

    async def on_member_update(self, _: discord.Member, after: discord.Member) -> None:
        """Called for the bot itself, the only cached member, when a role is added or removed."""
        self.services.reopening.changed(after.guild.id)

    async def on_raw_thread_update(self, thread: discord.RawThreadUpdateEvent) -> None:
        self.services.reopening.changed(thread.guild_id)

    async def on_guild_role_delete(self, role: discord.Role) -> None:
        await self.services.pinged_roles.deleted(role.guild.id, role.id)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        await self.services.membership.left(guild.id)

    async def on_error(self, event_method: str, /, *_: object, **__: object) -> None:
        log.exception("unexpected error in %s", event_method)

    def invite_link(self) -> str:
        """Where a server's owner adds the bot, with exactly the permissions it needs."""
        if self.application_id is None:
            raise RuntimeError("the application is known after login only")
        return discord.utils.oauth_url(self.application_id, permissions=INVITE_PERMISSIONS)


class RestClient(discord.Client):
    """Sends and asks, at the pace, but does not come online.

    `instrument` may add to the HTTP trace, before any request.
    """

    def __init__(
        self, rate_limiter: RateLimiter, instrument: Callable[[aiohttp.TraceConfig], object] | None = None
    ) -> None:
        http_trace = HttpTrace(lambda: rate_limiter)
        trace = http_trace.config()
        if instrument:
            instrument(trace)
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=no_mentions(),
            max_messages=None,
            http_trace=trace,
        )
        http_trace.install(self)


def use_addresses(api_url: str, gateway_url: str | None) -> None:
    """Reach Discord somewhere else, such as through a proxy. discord.py keeps these for the whole process."""
    Route.BASE = api_url.rstrip("/")
    if gateway_url:
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = URL(gateway_url)
