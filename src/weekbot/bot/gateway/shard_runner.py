"""The gateway: a connection for each shard, each kept up by itself.

discord.py's own way gives all shards up when one of them fails in a way that it doesn't know, resumes without a pause,
and connects no shard before the one in front of it.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, NoReturn

import discord
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.http import Route
from yarl import URL

from weekbot.bot.gateway.session_record import DAY, LASTS, SessionRecord, pause_before_session
from weekbot.delivery.retry import pause, pause_after
from weekbot.discord_io.errors import map_errors
from weekbot.runtime.errors import WeekbotError, describe, raised_at
from weekbot.runtime.loop import now
from weekbot.runtime.tasks import cancel_and_wait

log = logging.getLogger(__name__)

IDENTIFY_SECONDS = 5.0  # between two sessions that begin in the same of Discord's lanes
RESUMES = 3  # tries to go on with a session, after which a new one begins
STEADY_SECONDS = 60.0  # a connection that lasted so long did not fail
CLOSING_SECONDS = 3.0
READY_SEQUENCE = 1  # the number of a session's first event
ENDED, TO_BE_RESUMED = 1000, 4000  # how a connection is closed
FOR_GOOD = frozenset({4004, 4010, 4011, 4012, 4013, 4014})
"""The codes with which Discord closes a connection that it will not have again."""


class GatewayRefusedError(Exception):
    """Discord closes the gateway for good, with that code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


@dataclass(frozen=True)
class Session:
    """What goes on over another connection: its events from that number on, at that address."""

    id: str
    sequence: int | None
    address: URL


@dataclass
class Starts:
    """Discord's limits on new sessions: `remaining` of those `allowed` in a day, and `lanes` shards at a time.

    `full_at` is when the daily limit is reset, on the event loop's clock; None before Discord has reported it.
    """

    remaining: int = 1
    lanes: int = 1
    allowed: int = 1000
    full_at: float | None = None
    _last: dict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def turn(self, shard_id: int) -> None:
        """Return when the shard may begin a session; the next one in its lane waits for some seconds."""
        lane = self._last[shard_id % self.lanes]
        await lane.acquire()
        asyncio.get_running_loop().call_later(IDENTIFY_SECONDS, lane.release)
        self.refill()
        self.remaining -= 1

    def refill(self) -> None:
        """Reset the remaining sessions if a day has passed; Discord restores all of them at once."""
        while self.full_at is not None and now() >= self.full_at:
            self.remaining, self.full_at = self.allowed, self.full_at + DAY.total_seconds()


class Gateway:
    """Replaces `connect` of discord.py's client. `address` is the gateway's; None means the one that Discord names.

    `on_start` is called before each session begins.
    """

    def __init__(
        self,
        client: discord.AutoShardedClient,
        address: URL | None,
        record: SessionRecord,
        on_start: Callable[[], Awaitable[object]],
    ) -> None:
        self._client = client
        self._record = record
        self._on_start = on_start
        self._configured = address
        self._address = address or DiscordWebSocket.DEFAULT_GATEWAY
        self._starts = Starts()
        self._stopping, self._stopped = asyncio.Event(), asyncio.Event()
        self._stopped.set()

    async def run(self) -> None:
        """Keep the client's shards connected until `stop`.

        Raises GatewayRefusedError if Discord will not have one of them, whatever is tried.
        """
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
        client, state = self._client, self._client._connection  # noqa: SLF001 - what `connect` tells it
        client.shard_count = state.shard_count = await self._shard_count()
        state.shard_ids = list(client.shard_ids or range(client.shard_count))
        await self._space_starts(len(state.shard_ids))
        try:
            async with asyncio.TaskGroup() as shards:
                shards.create_task(self._last())
                for shard_id in state.shard_ids:
                    shards.create_task(self._keep(shard_id))
        except* GatewayRefusedError as refusals:
            raise refusals.exceptions[0] from None

    async def _space_starts(self, shards: int) -> None:
        """Wait if starts before this one failed, so that a crash loop leaves sessions for the rest of the day."""
        await self._record.begin()
        failures = self._record.failures
        if wait := pause_before_session(failures, shards, self._starts.allowed):
            log.warning(
                "%d starts in a row did not last; connecting in %.0f s, as Discord allows %d sessions a day",
                failures,
                _s(wait),
                self._starts.allowed,
            )
            await asyncio.sleep(_s(wait))

    async def _last(self) -> None:
        await asyncio.sleep(_s(LASTS))
        await self._record.succeed()

    def sessions(self) -> tuple[int, int] | None:
        """The sessions that may still begin today, and the daily limit; None before Discord has reported them."""
        self._starts.refill()
        return None if self._starts.full_at is None else (self._starts.remaining, self._starts.allowed)

    async def _shard_count(self) -> int:
        """The number that is set, else as many as Discord recommends."""
        for attempt in count(1):
            try:
                recommended = await self._ask()
            except WeekbotError as error:
                if self._client.shard_count:
                    break
                wait = pause_after(error, attempt)
                log.warning("Discord does not say where its gateway is (%s); asking again in %.0f s", error, _s(wait))
                await asyncio.sleep(_s(wait))
            else:
                return self._client.shard_count or recommended
        return self._client.shard_count or 1

    async def _ask(self) -> int:
        """Where the gateway is, how many sessions may begin, and how many shards there should be, which is returned.

        Raises the errors of `outcomes`.
        """
        with map_errors():
            answer: dict[str, Any] = await self._client.http.request(Route("GET", "/gateway/bot"))
            limit = answer["session_start_limit"]
            reset_after = timedelta(milliseconds=int(limit["reset_after"]))
            self._starts.remaining, self._starts.lanes = int(limit["remaining"]), max(1, int(limit["max_concurrency"]))
            self._starts.allowed, self._starts.full_at = int(limit["total"]), now() + _s(reset_after)
            self._address = self._configured or URL(answer["url"])
            shards = int(answer["shards"])
            if not self._starts.remaining:
                await self._wait_for_starts(reset_after)
            return shards

    async def _wait_for_starts(self, wait: timedelta) -> None:
        """Who begins more sessions than Discord allows in a day loses the token."""
        log.warning("Discord allows no more sessions for now; waiting for %.0f s", _s(wait))
        await asyncio.sleep(_s(wait))
        self._starts.remaining = 1

    async def _keep(self, shard_id: int) -> None:
        """Keep one shard connected: resume its session as long as that works, and pause longer each time it fails."""
        session: Session | None = None
        failures = 0
        while True:
            begun = now()
            session, why = await self._hold(shard_id, session, again=failures > 1)
            self._client.dispatch("shard_disconnect", shard_id)
            failures = 1 if now() - begun > STEADY_SECONDS else failures + 1
            if failures > RESUMES:
                session = None
            wait = pause(failures - 1) if failures > 1 else timedelta()
            log.info("shard %d lost its connection (%s); connecting again in %.0f s", shard_id, why, _s(wait))
            await asyncio.sleep(_s(wait))

    async def _hold(self, shard_id: int, session: Session | None, *, again: bool) -> tuple[Session | None, str]:
        """Stay connected until the connection ends. Returns the session to resume, and why the connection ended.

        With `again`, after several failures, a success is logged.
        """
        socket: DiscordWebSocket | None = None
        code = TO_BE_RESUMED
        try:
            socket = await self._connected(shard_id, session)
            await _listen(socket, shard_id, again=again)
        except ReconnectWebSocket as error:
            return (_session_of(socket) or session if error.resume else None), "as Discord asked, or in silence"
        except discord.ConnectionClosed as error:
            if error.code in FOR_GOOD:
                raise GatewayRefusedError(error.code) from None
            return None, f"closed with {error.code}"
        except asyncio.CancelledError:
            code = ENDED
            raise
        except Exception as error:
            return _session_of(socket) or session, f"{describe(error)}, {raised_at(error)}"
        finally:
            if socket:
                with suppress(Exception):
                    async with asyncio.timeout(CLOSING_SECONDS):
                        await socket.close(code)

    async def _connected(self, shard_id: int, session: Session | None) -> DiscordWebSocket:
        """With a session that is begun or resumed, as far as this side can do it."""
        known: dict[str, Any] = {}
        if session:
            known = {"resume": True, "session": session.id, "sequence": session.sequence}
        else:
            if self._starts.remaining <= 0:
                await self._ask()
            await self._starts.turn(shard_id)
            await self._on_start()
        address = session.address if session else self._address
        return await DiscordWebSocket.from_client(
            self._client, initial=True, gateway=address, shard_id=shard_id, **known
        )


async def _listen(socket: DiscordWebSocket, shard_id: int, *, again: bool) -> NoReturn:
    """Process events until the connection ends, which raises an error."""
    await socket.poll_event()
    if again:
        log.info("shard %d is connected again", shard_id)
    while True:
        await socket.poll_event()


def _session_of(socket: DiscordWebSocket | None) -> Session | None:
    """None unless something came after READY, which may be what could not be read."""
    if socket is None or socket.session_id is None or not socket.sequence or socket.sequence <= READY_SEQUENCE:
        return None
    return Session(socket.session_id, socket.sequence, socket.gateway)


def _s(duration: timedelta) -> float:
    return duration.total_seconds()
