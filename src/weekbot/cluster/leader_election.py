"""Leader election and shard ownership among several processes, by PostgreSQL's advisory locks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.cluster.fencing import Fencing
from weekbot.db.access import write_obstacle
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnusableError, FencedError, first_line
from weekbot.db.postgresql import WAKE_CHANNEL
from weekbot.db.sessions import autocommit_session
from weekbot.runtime.loop import now
from weekbot.runtime.tasks import cancel_and_wait

log = logging.getLogger(__name__)

# Keys of advisory locks; weekbot's begin with `week` in ASCII.
LEADER_LOCK = 0x7765656B0002
FIRST_SHARD_LOCK = 0x7765656B << 32  # the other shards' follow

LOCK_TIMEOUT_SECONDS = 1.0  # a new term waits this long for writes of the previous one, then tries again
RENEWAL_SECONDS, RENEWAL_TIMEOUT_SECONDS = 0.5, 3.0
STALL_SECONDS = 1.5  # if two heartbeats are further apart, this process may have been frozen
OBSTACLE_CHECK_SECONDS = 10.0
LEASE_SECONDS = 4.0  # from the start of a renewal; no other process can get the locks earlier
TAKEOVER_SECONDS = 2.0  # Discord waits three seconds for the answer to a command
SESSION_TIMEOUT_SECONDS = 5.0  # after this silence PostgreSQL ends a session and frees its locks


class LeaderElection:
    """Holds the locks of the leader and of shards, in a session of its own.

    PostgreSQL frees them when the connection ends, or when a frozen or disconnected process is silent for too long. A
    new leader begins a fencing term, after which the database refuses the writes of the previous leader.
    """

    def __init__(self, database: Database, fencing: Fencing) -> None:
        self._database = database
        self._fencing = fencing
        self._wanted: set[int] = set()
        self._held: set[int] = set()
        self._leader_renewed_at = self._shards_renewed_at = float("-inf")
        self._renew_now, self._renewed, self._elected = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._wake: Callable[[], None] = lambda: None
        self._sessions_in_doubt = False  # True if a pooler may have taken the session, and so its locks
        self.obstacle: str | None = None
        self._loss_logged = False

    @property
    def term(self) -> int:
        return self._fencing.term

    def is_leader(self) -> bool:
        holds = LEADER_LOCK in self._held and not self._fencing.is_superseded
        return holds and now() - self._leader_renewed_at < LEASE_SECONDS

    def owns(self, shard_id: int) -> bool:
        """Return whether this process owns the shard.

        It keeps it while the database is unreachable, because most answers don't need the database. After a freeze, it
        owns nothing until it has renewed its locks.
        """
        holds = FIRST_SHARD_LOCK + shard_id in self._held & self._wanted
        return holds and now() - self._shards_renewed_at < LEASE_SECONDS

    async def inherits(self, shard_id: int) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(TAKEOVER_SECONDS):
                while not self.owns(shard_id):
                    await self._renewed.wait()
        return self.owns(shard_id)

    def stand_for_election(self) -> None:
        self._request(self._wanted | {LEADER_LOCK})

    def connected(self, shard_id: int) -> None:
        self._request(self._wanted | {FIRST_SHARD_LOCK + shard_id})

    def disconnected(self, shard_id: int) -> None:
        self._request(self._wanted - {FIRST_SHARD_LOCK + shard_id})

    def on_wake(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    async def elected(self) -> AsyncIterator[None]:
        while True:
            await self._elected.wait()
            self._elected.clear()
            yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take part until the block ends, which frees the locks."""
        tasks = [asyncio.create_task(self._renew_forever()), asyncio.create_task(self._send_heartbeats())]
        try:
            yield
        finally:
            await cancel_and_wait(*tasks)

    async def _renew_forever(self) -> None:
        while True:
            pause = RENEWAL_SECONDS
            try:
                await self._renew_in_session()
            except FencedError:
                self._step_down()
            except DatabaseUnusableError as error:
                self._set_obstacle(str(error))
                self._release_leadership()
                pause = OBSTACLE_CHECK_SECONDS
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                self._lose_session(error)
            except Exception as error:
                log.exception("unexpected error in the leader election")
                self._lose_session(error)
            await asyncio.sleep(pause)

    async def _send_heartbeats(self) -> None:
        """Keep the shards while a renewal hangs, unless this process itself was frozen."""
        beat = now()
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            previous, beat = beat, now()
            if beat - previous < STALL_SECONDS and beat - self._shards_renewed_at < LEASE_SECONDS:
                self._shards_renewed_at = beat

    def _request(self, locks: set[int]) -> None:
        self._wanted = locks
        self._renew_now.set()

    async def _renew_in_session(self) -> None:
        if self._sessions_in_doubt:
            await self._database.check()
            self._sessions_in_doubt = False
        async with _session(self._database, lambda: self._wake()) as connection:
            held: set[int] = set()
            while True:
                if LEADER_LOCK in self._held and self._fencing.is_superseded:
                    raise FencedError
                begun = now()
                async with asyncio.timeout(RENEWAL_TIMEOUT_SECONDS):
                    held = await self._renew(connection, held)
                is_elected = LEADER_LOCK in held - self._held
                self._extend_leases(held - {LEADER_LOCK} if is_elected else held, begun)
                if is_elected:
                    await self._begin_term(connection, held)
                self._loss_logged = False
                await self._pause()

    async def _renew(self, connection: AsyncConnection, held: set[int]) -> set[int]:
        """Return the locks that the session holds now. A process that can't write doesn't become the leader."""
        self._set_obstacle(await write_obstacle(connection))
        if self.obstacle:
            return await _acquire(connection, held, self._wanted - {LEADER_LOCK})
        await connection.execute(_LISTEN)  # a standby would refuse this; repeating it has no effect
        return await _acquire(connection, held, self._wanted)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RENEWAL_SECONDS):
                await self._renew_now.wait()
        self._renew_now.clear()

    def _extend_leases(self, held: set[int], begun: float) -> None:
        if LEADER_LOCK in held & self._held and not self.is_leader():
            self._wake()  # the lease had expired, so nothing was sent
        self._held, self._leader_renewed_at, self._shards_renewed_at = held, begun, begun
        self._renewed.set()
        self._renewed = asyncio.Event()

    async def _begin_term(self, connection: AsyncConnection, held: set[int]) -> None:
        """Become the leader, unless a long write of the previous term keeps this one from beginning."""
        async with asyncio.timeout(RENEWAL_TIMEOUT_SECONDS):
            try:
                await self._fencing.begin(connection)
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
                    return
                raise
            begun = now()
            await connection.execute(_PING)  # the session may have ended while the term waited to begin
        log.info("this process is the leader from now on (term %d)", self._fencing.term)
        self._extend_leases(held, begun)
        self._elected.set()

    def _lose_session(self, error: Exception) -> None:
        """Stop leading; shards are kept until the next renewal shows what this process still holds."""
        if not self._loss_logged:
            effect = "sends nothing" if LEADER_LOCK in self._held else "can't become the leader"
            log.warning("the database is unreachable (%s); this process %s meanwhile", first_line(error), effect)
        self._loss_logged = True
        self._release_leadership()

    def _step_down(self) -> None:
        """Stop leading, and take part in the next election once sessions are known to last."""
        log.warning("another process has become the leader (after term %d); this one steps down", self._fencing.term)
        self._sessions_in_doubt = True
        self._release_leadership()

    def _set_obstacle(self, obstacle: str | None) -> None:
        if obstacle and obstacle != self.obstacle:
            log.warning("this process can't become the leader: %s", obstacle)
        elif self.obstacle and not obstacle:
            log.info("this process can become the leader again")
        self.obstacle = obstacle

    def _release_leadership(self) -> None:
        self._held = self._held - {LEADER_LOCK}
        if (lost := now()) - self._shards_renewed_at < LEASE_SECONDS:
            self._shards_renewed_at = lost


@asynccontextmanager
async def _session(database: Database, wake: Callable[[], None]) -> AsyncIterator[AsyncConnection]:
    """Open a session that listens to wake-ups."""
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(RENEWAL_TIMEOUT_SECONDS * database.servers):
            connection = await stack.enter_async_context(autocommit_session(database.engine))
        async with asyncio.timeout(RENEWAL_TIMEOUT_SECONDS):
            await connection.execute(text(f"SET idle_session_timeout = '{SESSION_TIMEOUT_SECONDS:g}s'"))
            await connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT_SECONDS:g}s'"))
            driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.add_notify_handler(lambda _: wake())
        yield connection


_LOCK_NOT_AVAILABLE = "55P03"
_LISTEN = text(f"LISTEN {WAKE_CHANNEL}")
_PING = text("SELECT 1")
_UNLOCK = text("SELECT pg_advisory_unlock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
_TRY_LOCK = text("SELECT key FROM unnest(CAST(:keys AS bigint[])) AS key WHERE pg_try_advisory_lock(key)")


async def _acquire(connection: AsyncConnection, held: set[int], wanted: set[int]) -> set[int]:
    """Free the locks that are no longer wanted, and take those that are wanted and free. Return all that are held."""
    if held - wanted:
        await connection.execute(_UNLOCK, {"keys": sorted(held - wanted)})
    taken = await connection.scalars(_TRY_LOCK, {"keys": sorted(wanted - held)})
    return (held & wanted) | set(taken)
