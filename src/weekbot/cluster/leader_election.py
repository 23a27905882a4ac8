"""Leadership: what one of several processes does at a time, which is to send, and to answer the members of a shard."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from weekbot.cluster.fencing import Fencing
from weekbot.db.access import obstacle
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnusableError, FencedError, first_line
from weekbot.db.wake_up import WAKE_CHANNEL
from weekbot.runtime.loop import now
from weekbot.runtime.tasks import cancel_and_wait

log = logging.getLogger(__name__)

SENDING = 0x7765656B0002
"""PostgreSQL's advisory lock of the process that sends."""
FIRST_SHARD = 0x7765656B << 32
"""That of the process which answers the first shard; the other shards' follow."""

LAST_WORDS_SECONDS = 1.0  # of the last term: so long one that begins waits for them before it looks again
LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.5, 3.0
STALL_SECONDS = 1.5  # if two signs of life are further apart, this process may have been frozen
ASIDE_SECONDS = 10.0  # between two checks whether an operator has removed the obstacle to sending
SURE_SECONDS = 4.0  # since a look began: no one else can have been given what this process had then
DYING_SECONDS = 2.0  # Discord gives a member's command three
SILENCE_SECONDS = 5.0  # of a process, after which PostgreSQL gives its duties to others


class LeaderElection:
    """Held by advisory locks of one session, which PostgreSQL ends with its connection, or when it is silent too long.

    A process that is frozen, or cut off from the database, is silent. Whoever takes over the sending begins a term of
    the fence, and from then on the database takes nothing more from the one before.
    """

    def __init__(self, database: Database, fence: Fencing) -> None:
        self._database = database
        self._fence = fence
        self._wanted: set[int] = set()
        self._held: set[int] = set()
        self._looked = self._sure = float("-inf")
        self._look_now, self._looked_again, self._sending = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._wake: Callable[[], None] = lambda: None
        self._in_doubt = False  # True if sessions, and so locks, may not last
        self._obstacle: str | None = None
        self._lost = False  # True once the loss of the database is logged

    @property
    def obstacle(self) -> str | None:
        return self._obstacle

    @property
    def term(self) -> int:
        return self._fence.term

    def is_leader(self) -> bool:
        return SENDING in self._held and not self._fence.is_over and now() - self._sure < SURE_SECONDS

    async def inherits(self, shard_id: int) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(DYING_SECONDS):
                while not self.owns(shard_id):
                    await self._looked_again.wait()
        return self.owns(shard_id)

    def owns(self, shard_id: int) -> bool:
        """Also while the database cannot be reached, as most answers do without it.

        Not after this process was frozen, before it has looked again.
        """
        has = FIRST_SHARD + shard_id in self._held & self._wanted
        return has and now() - self._looked < SURE_SECONDS

    def stand_for_election(self) -> None:
        self._want(self._wanted | {SENDING})

    def connected(self, shard_id: int) -> None:
        self._want(self._wanted | {FIRST_SHARD + shard_id})

    def disconnected(self, shard_id: int) -> None:
        self._want(self._wanted - {FIRST_SHARD + shard_id})

    def on_wake(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    async def elected(self) -> AsyncIterator[None]:
        while True:
            await self._sending.wait()
            self._sending.clear()
            yield

    async def keep(self) -> None:
        """Take what is wanted and free, and keep it, until cancelled."""
        while True:
            pause = LOOK_SECONDS
            try:
                await self._keep_in_session()
            except FencedError:
                self._step_down()
            except DatabaseUnusableError as error:
                self._give_way(str(error))
                pause = ASIDE_SECONDS
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                self._lose(error)
            except Exception as error:
                log.exception("unexpected error in keeping this process's duties")
                self._lose(error)
            await asyncio.sleep(pause)

    async def stay_awake(self) -> None:
        """Keep answering while a look hangs, unless this process was frozen itself. Runs until cancelled."""
        awake = now()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            before, awake = awake, now()
            if awake - before < STALL_SECONDS and awake - self._looked < SURE_SECONDS:
                self._looked = awake

    def _want(self, duties: set[int]) -> None:
        self._wanted = duties
        self._look_now.set()

    async def _keep_in_session(self) -> None:
        if self._in_doubt:
            await self._database.check()
            self._in_doubt = False
        async with _session(self._database, lambda: self._wake()) as connection:
            held: set[int] = set()
            while True:
                if SENDING in self._held and self._fence.is_over:
                    raise FencedError
                begun = now()
                async with asyncio.timeout(LONGEST_LOOK_SECONDS):
                    held = await self._take(connection, held)
                begins = SENDING in held - self._held
                self._hold(held - {SENDING} if begins else held, begun)
                if begins:
                    await self._begin_term(connection, held)
                self._lost = False
                await self._pause()

    async def _take(self, connection: AsyncConnection, held: set[int]) -> set[int]:
        """The duties that the session holds after this look. A process that can't write leaves sending to others."""
        self._note(await obstacle(connection))
        if self._obstacle:
            return await _taken(connection, held, self._wanted - {SENDING})
        await connection.execute(_LISTEN)  # a standby would refuse this; repeating it has no effect
        return await _taken(connection, held, self._wanted)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._look_now.wait()
        self._look_now.clear()

    def _hold(self, held: set[int], begun: float) -> None:
        """These are this process's, as of the instant at which it began to look."""
        if SENDING in held & self._held and not self.is_leader():
            self._wake()  # it was not sure for a while, and began nothing
        self._held, self._looked, self._sure = held, begun, begun
        self._looked_again.set()
        self._looked_again = asyncio.Event()

    async def _begin_term(self, connection: AsyncConnection, held: set[int]) -> None:
        """Send from now on; where the last term is just writing something for long, try again at the next look."""
        async with asyncio.timeout(LONGEST_LOOK_SECONDS):
            if not await self._began(connection):
                return
            begun = now()
            await connection.execute(_STILL_THERE)  # it may have waited
        log.info("this process sends from now on (term %d)", self._fence.term)
        self._hold(held, begun)
        self._sending.set()

    async def _began(self, connection: AsyncConnection) -> bool:
        try:
            await self._fence.begin(connection)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            return False
        return True

    def _lose(self, error: Exception) -> None:
        """What this process has is known at the next look; until then it answers, but does not send."""
        if not self._lost:
            effect = "nothing is sent from here" if SENDING in self._held else "this process cannot take over"
            log.warning("the database cannot be reached (%s); %s meanwhile", first_line(error), effect)
        self._lost = True
        self._let_go()

    def _step_down(self) -> None:
        """Stop sending; take part in the next election once sessions are known to last."""
        log.warning("another process has begun to send (after term %d); this one stops sending", self._fence.term)
        self._in_doubt = True
        self._let_go()

    def _give_way(self, trouble: str) -> None:
        """Stop sending until an operator has removed the obstacle."""
        self._note(trouble)
        self._let_go()

    def _note(self, trouble: str | None) -> None:
        if trouble and trouble != self._obstacle:
            log.warning("this process cannot send: %s", trouble)
        elif self._obstacle and not trouble:
            log.info("this process can send again")
        self._obstacle = trouble

    def _let_go(self) -> None:
        self._held = self._held - {SENDING}
        if (lost := now()) - self._looked < SURE_SECONDS:
            self._looked = lost


@asynccontextmanager
async def kept(duties: LeaderElection) -> AsyncIterator[None]:
    """Keep them until the block ends, which frees them for others."""
    keeping = [asyncio.create_task(duties.keep()), asyncio.create_task(duties.stay_awake())]
    try:
        yield
    finally:
        await cancel_and_wait(*keeping)


@asynccontextmanager
async def _session(database: Database, wake: Callable[[], None]) -> AsyncIterator[AsyncConnection]:
    """A session of its own, with which all that it holds ends."""
    async with asyncio.timeout(LONGEST_LOOK_SECONDS * database.servers):
        plain = await database.engine.connect()
    try:
        async with asyncio.timeout(LONGEST_LOOK_SECONDS):
            connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(f"SET idle_session_timeout = '{SILENCE_SECONDS:g}s'"))
            await connection.execute(text(f"SET lock_timeout = '{LAST_WORDS_SECONDS:g}s'"))
            driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.add_notify_handler(lambda _: wake())
        yield connection
    finally:
        with suppress(SQLAlchemyError):
            await plain.invalidate()
        await plain.close()


_LOCK_NOT_AVAILABLE = "55P03"
_LISTEN = text(f"LISTEN {WAKE_CHANNEL}")
_STILL_THERE = text("SELECT 1")
_FREE = text("SELECT pg_advisory_unlock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
_TAKE = text("SELECT key FROM unnest(CAST(:keys AS bigint[])) AS key WHERE pg_try_advisory_lock(key)")


async def _taken(connection: AsyncConnection, held: set[int], wanted: set[int]) -> set[int]:
    """What the session holds after it has freed what is no longer wanted, and taken what is wanted and free."""
    if held - wanted:
        await connection.execute(_FREE, {"keys": sorted(held - wanted)})
    taken = await connection.scalars(_TAKE, {"keys": sorted(wanted - held)})
    return (held & wanted) | set(taken)
