"""Keeps each shard connected to the gateway, independently of the others and with pauses, unlike discord.py itself."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, NoReturn

import discord
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.http import Route
from yarl import URL

from weekbot.delivery.retry import pause, pause_after
from weekbot.discord_io.errors import map_errors
from weekbot.discord_io.gateway.session_record import DAY, SUCCESS_AFTER, SessionRecord, pause_before_session
from weekbot.runtime.errors import WeekbotError, describe, raised_at
from weekbot.runtime.loop import now
from weekbot.runtime.tasks import cancel_and_wait

log = logging.getLogger(__name__)

IDENTIFY_SECONDS = 5.0  # between the beginnings of two sessions in the same bucket
MAX_RESUMES = 3  # attempts to resume a session before a new one begins
STEADY_SECONDS = 60.0  # a connection that lasted longer resets the count of failures
CLOSING_SECONDS = 3.0
READY_SEQUENCE = 1  # the number of a session's first event
CLOSE_FOR_GOOD, CLOSE_TO_RESUME = 1000, 4000  # close codes
FATAL_CODES = frozenset({4004, 4010, 4011, 4012, 4013, 4014})  # Discord won't accept the connection again


class GatewayRefusedError(Exception):
    """Discord refuses the connection permanently, with this close code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


@dataclass(frozen=True)
class ResumableSession:
    """A session that another connection can resume after event number `sequence`."""

    id: str
    sequence: int | None
    address: URL


@dataclass
class StartLimit:
    """Discord's limits on new sessions: `remaining` of the daily `allowed`, and one at a time in each bucket."""

    remaining: int = 1
    buckets: int = 1
    allowed: int = 1000
    resets_at: float | None = None  # on the event loop's clock; None before Discord has reported it
    _locks: dict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def acquire(self, shard_id: int) -> None:
        """Wait until the shard may begin a session. The next one in its bucket waits for some seconds."""
        bucket = self._locks[shard_id % self.buckets]
        await bucket.acquire()
        asyncio.get_running_loop().call_later(IDENTIFY_SECONDS, bucket.release)
        self.refill()
        self.remaining -= 1

    def refill(self) -> None:
        while self.resets_at is not None and now() >= self.resets_at:
            self.remaining, self.resets_at = self.allowed, self.resets_at + DAY.total_seconds()


@dataclass(eq=False)
class ShardRunner:
    """Replaces discord.py's `connect`. By default, Discord reports the gateway's `address`."""

    client: discord.AutoShardedClient
    address: URL | None
    record: SessionRecord
    on_start: Callable[[], Awaitable[object]]  # called before each session begins

    def __post_init__(self) -> None:
        self._address = self.address or DiscordWebSocket.DEFAULT_GATEWAY
        self._starts = StartLimit()
        self._stopping, self._stopped = asyncio.Event(), asyncio.Event()
        self._stopped.set()

    async def run(self) -> None:
        """Keep the client's shards connected until `stop`. Raises GatewayRefusedError."""
        self._stopped.clear()
        stopping = asyncio.create_task(self._stopping.wait())
        keeping = asyncio.create_task(self._keep_all())
        try:
            await asyncio.wait({stopping, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                await keeping
        finally:
            await cancel_and_wait(stopping, keeping)
            self._stopped.set()

    async def stop(self) -> None:
        """Close the connections, which ends their sessions."""
        self._stopping.set()
        await self._stopped.wait()

    async def _keep_all(self) -> None:
        client, state = self.client, self.client._connection  # noqa: SLF001 - discord.py's `connect` sets the same fields
        client.shard_count = state.shard_count = await self._shard_count()
        state.shard_ids = list(client.shard_ids or range(client.shard_count))
        await self._pause_after_failures(len(state.shard_ids))
        try:
            async with asyncio.TaskGroup() as shards:
                shards.create_task(self._succeed_later())
                for shard_id in state.shard_ids:
                    shards.create_task(self._keep(shard_id))
        except* GatewayRefusedError as refusals:
            raise refusals.exceptions[0] from None

    async def _pause_after_failures(self, shards: int) -> None:
        """Wait if previous starts failed, so that a crash loop leaves sessions for the rest of the day."""
        await self.record.begin()
        failures = self.record.failures
        if wait := pause_before_session(failures, shards, self._starts.allowed):
            text = "%d starts in a row failed; connecting in %.0f s, because Discord allows %d sessions a day"
            log.warning(text, failures, _s(wait), self._starts.allowed)
            await asyncio.sleep(_s(wait))

    async def _succeed_later(self) -> None:
        await asyncio.sleep(_s(SUCCESS_AFTER))
        await self.record.succeed()

    def session_limit(self) -> tuple[int, int] | None:
        """Return the sessions that may still begin today, and the daily limit; None before Discord reports them."""
        self._starts.refill()
        return None if self._starts.resets_at is None else (self._starts.remaining, self._starts.allowed)

    async def _shard_count(self) -> int:
        """Return the configured number of shards; by default, the one that Discord recommends."""
        configured, attempts = self.client.shard_count, count(1)
        while True:
            try:
                recommended = await self._fetch_limits()
                return configured or recommended
            except WeekbotError as error:
                if configured:
                    return configured
                wait = pause_after(error, next(attempts))
                log.warning("the gateway's address is unavailable (%s); trying again in %.0f s", error, _s(wait))
                await asyncio.sleep(_s(wait))

    async def _fetch_limits(self) -> int:
        """Fetch the gateway's address and limits. Returns the recommended number of shards. Raises delivery errors."""
        with map_errors():
            answer: dict[str, Any] = await self.client.http.request(Route("GET", "/gateway/bot"))
            limit = answer["session_start_limit"]
            reset_after = timedelta(milliseconds=int(limit["reset_after"]))
            self._starts.remaining, self._starts.allowed = int(limit["remaining"]), int(limit["total"])
            self._starts.buckets, self._starts.resets_at = (
                max(1, int(limit["max_concurrency"])),
                now() + _s(reset_after),
            )
            self._address = self.address or URL(answer["url"])
            shards = int(answer["shards"])
            if not self._starts.remaining:
                await self._wait_for_starts(reset_after)
            return shards

    async def _wait_for_starts(self, wait: timedelta) -> None:
        """Wait, because Discord resets the token of a bot that begins too many sessions in a day."""
        log.warning("no sessions are left today; waiting for %.0f s", _s(wait))
        await asyncio.sleep(_s(wait))
        self._starts.remaining = 1

    async def _keep(self, shard_id: int) -> None:
        """Keep one shard connected: resume its session while that works, with longer pauses after each failure."""
        session: ResumableSession | None = None
        failures = 0
        while True:
            begun = now()
            session, reason = await self._hold(shard_id, session, again=failures > 1)
            self.client.dispatch("shard_disconnect", shard_id)
            failures = 1 if now() - begun > STEADY_SECONDS else failures + 1
            if failures > MAX_RESUMES:
                session = None
            wait = pause(failures - 1) if failures > 1 else timedelta()
            log.info("shard %d was disconnected (%s); reconnecting in %.0f s", shard_id, reason, _s(wait))
            await asyncio.sleep(_s(wait))

    async def _hold(
        self, shard_id: int, session: ResumableSession | None, *, again: bool
    ) -> tuple[ResumableSession | None, str]:
        """Stay connected as long as possible. Returns the session to resume, and why the connection ended."""
        socket: DiscordWebSocket | None = None
        code = CLOSE_TO_RESUME
        try:
            socket = await self._connect(shard_id, session)
            await _listen(socket, shard_id, again=again)
        except ReconnectWebSocket as error:
            return (_session_of(socket) or session if error.resume else None), "requested by Discord, or no heartbeat"
        except discord.ConnectionClosed as error:
            if error.code in FATAL_CODES:
                raise GatewayRefusedError(error.code) from None
            return None, f"closed with {error.code}"
        except asyncio.CancelledError:
            code = CLOSE_FOR_GOOD
            raise
        except Exception as error:
            return _session_of(socket) or session, f"{describe(error)}, {raised_at(error)}"
        finally:
            if socket:
                await _close(socket, code)

    async def _connect(self, shard_id: int, session: ResumableSession | None) -> DiscordWebSocket:
        if session:
            options: Any = {"resume": True, "session": session.id, "sequence": session.sequence}
        else:
            if self._starts.remaining <= 0:
                await self._fetch_limits()
            await self._starts.acquire(shard_id)
            await self.on_start()
            options = {}
        options["gateway"] = session.address if session else self._address
        return await DiscordWebSocket.from_client(self.client, initial=True, shard_id=shard_id, **options)


async def _close(socket: DiscordWebSocket, code: int) -> None:
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            await socket.close(code)
    except Exception as error:
        log.debug("a connection could not be closed: %s", describe(error))


async def _listen(socket: DiscordWebSocket, shard_id: int, *, again: bool) -> NoReturn:
    await socket.poll_event()
    if again:
        log.info("shard %d is reconnected", shard_id)
    while True:
        await socket.poll_event()


def _session_of(socket: DiscordWebSocket | None) -> ResumableSession | None:
    """Return the session; None before an event after READY, because READY itself may be what can't be parsed."""
    if socket is None or socket.session_id is None or not socket.sequence or socket.sequence <= READY_SEQUENCE:
        return None
    return ResumableSession(socket.session_id, socket.sequence, socket.gateway)


def _s(duration: timedelta) -> float:
    return duration.total_seconds()
