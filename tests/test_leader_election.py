"""Leader election and shard ownership among several processes, with the locks of a real PostgreSQL."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from sqlalchemy import TextClause, delete, insert, text

import writer
from weekbot.cluster import leader_election as election_module
from weekbot.cluster.fencing import Fencing
from weekbot.cluster.leader_election import LeaderElection
from weekbot.db import postgresql
from weekbot.db.database import Database
from weekbot.db.errors import DatabaseUnavailableError, FencedError
from weekbot.db.metadata import get_entry
from weekbot.db.postgresql import wake_leader
from weekbot.db.tables import metadata_entries
from weekbot.runtime.loop import now

pytestmark = pytest.mark.parametrize("url", ["postgresql"], indirect=True)

OURS = (
    " FROM pg_locks WHERE locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
HELD, CUT = text(f"SELECT count(*){OURS}"), text(f"SELECT pg_terminate_backend(pid){OURS}")
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
LISTENING, OWN = 1, 2  # shards


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election_module, "RENEWAL_SECONDS", 0.02)


@dataclass
class Process:
    """One of several processes that share a database."""

    database: Database
    fencing: Fencing = field(default_factory=Fencing)
    election: LeaderElection = field(init=False)

    def __post_init__(self) -> None:
        self.election = LeaderElection(self.database, self.fencing)

    @property
    def fenced(self) -> Database:
        return self.database.fenced(self.fencing.check)

    async def is_leader(self) -> bool:
        """Return whether it becomes the leader within a few seconds."""
        return await soon(self.election.is_leader)


class Processes:
    """Starts processes over one database and stops them at the end of the test."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack

    async def one(self) -> Process:
        """Return a process that has a database but takes no part in the election."""
        database = Database(self._url)
        self._stack.push_async_callback(database.close)
        return Process(database)

    @asynccontextmanager
    async def running(self, *shards: int) -> AsyncIterator[Process]:
        """Run a process that is online and connected with the shards."""
        process = await self.one()
        async with process.election.running():
            process.election.stand_for_election()
            for shard in shards:
                process.election.connected(shard)
            yield process

    async def started(self, *shards: int) -> Process:
        """Start such a process; it runs until the test ends."""
        return await self._stack.enter_async_context(self.running(*shards))


@pytest.fixture
async def processes(url: str) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        yield Processes(url, stack)


async def soon(met: Callable[[], bool]) -> bool:
    try:
        async with asyncio.timeout(5):
            while not met():  # noqa: ASYNC110 - PostgreSQL sends no event
                await asyncio.sleep(0.005)
    except TimeoutError:
        return False
    return True


async def wait_for_count(database: Database, query: TextClause, count: int) -> None:
    """Wait until the query returns the count."""
    async with asyncio.timeout(5), database.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        while await connection.scalar(query) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def cut_sessions(database: Database) -> None:
    """Terminate the sessions that hold locks, as a restart of the server does."""
    async with database.write() as connection:
        await connection.execute(CUT)


async def term_of(database: Database) -> int:
    async with database.read() as connection:
        return int(str(await get_entry(connection, "term")))


# The leader


async def test_one_of_two_processes_leads_until_it_ends_and_the_other_takes_over(processes: Processes) -> None:
    async with processes.running() as first:
        assert await first.is_leader()
        second = await processes.started(OWN)
        assert await second.election.inherits(OWN)  # by then it has also tried to become the leader
        assert (first.election.is_leader(), second.election.is_leader()) == (True, False)
    assert await second.is_leader()
    assert (first.fencing.term, second.fencing.term, await term_of(second.database)) == (1, 2, 2)


async def test_an_offline_process_does_not_become_the_leader(processes: Processes) -> None:
    process = await processes.one()
    async with process.election.running():
        process.election.connected(OWN)
        assert await process.election.inherits(OWN)
        assert not process.election.is_leader()
        process.election.stand_for_election()
        assert await process.is_leader()


async def test_a_cut_session_starts_a_new_term(processes: Processes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    process = await processes.started()
    begun = process.election.elected()
    await anext(begun)
    assert process.election.term == 1
    await cut_sessions(process.database)
    await anext(begun)
    assert process.election.term == 2
    assert process.election.is_leader()
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "the database is unreachable" in warning.getMessage()
    assert "\n" not in warning.getMessage()


async def test_there_is_one_leader_after_each_cut_of_the_leaders_session(
    processes: Processes,
) -> None:
    both = [await processes.started(), await processes.started()]

    def terms() -> list[int]:
        return [process.fencing.term for process in both if process.election.is_leader()]

    for term in range(1, 6):
        assert await soon(lambda term=term: terms() == [term])  # type: ignore[misc]
        await cut_sessions(both[0].database)


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten PostgreSQL's session timeout, and the lease to less than that."""
    monkeypatch.setattr(election_module, "SESSION_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(election_module, "LEASE_SECONDS", 0.2)


def stop_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop further renewals, as if the process were frozen."""
    monkeypatch.setattr(election_module, "RENEWAL_SECONDS", 60)


@pytest.mark.usefixtures("short_timeouts")
async def test_a_silent_leader_steps_down_before_another_is_elected(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await processes.started()
    assert await first.is_leader()
    stop_renewals(monkeypatch)
    await wait_for_count(first.database, HELD, 0)
    assert not first.election.is_leader()
    second = await processes.started()
    assert await second.is_leader()
    with pytest.raises(FencedError):
        async with first.fenced.write():
            pass


async def test_after_a_stall_a_process_waits_for_the_next_renewal(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await processes.started(OWN)
    assert await process.is_leader()
    assert await process.election.inherits(OWN)
    monkeypatch.setattr(election_module, "TAKEOVER_SECONDS", 0)
    woken = asyncio.Event()
    process.election.on_wake(woken.set)
    stall = election_module.LEASE_SECONDS
    monkeypatch.setattr(election_module, "now", lambda: now() + stall)
    assert not process.election.is_leader()
    assert not await process.election.inherits(OWN)
    async with asyncio.timeout(5):
        await woken.wait()  # during the stall it may have skipped its work
        while not process.election.is_leader():  # noqa: ASYNC110 - an earlier renewal may have woken it
            await asyncio.sleep(0.01)
    assert await process.election.inherits(OWN)
    assert process.fencing.term == 1


async def test_a_process_keeps_its_shards_while_a_renewal_hangs_but_not_after_a_stall(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await processes.started(OWN)
    assert await process.election.inherits(OWN)
    hanging, back, instant = asyncio.Event(), asyncio.Event(), [now()]

    async def hang(*_: object) -> set[int]:
        """Wait for the server even if cancelled, as psycopg does."""
        hanging.set()
        try:
            await back.wait()
        finally:
            await back.wait()
        return set()

    monkeypatch.setattr(election_module, "_acquire", hang)
    await hanging.wait()
    monkeypatch.setattr(election_module, "now", lambda: instant[0])
    for _ in range(10):
        instant[0] += election_module.STALL_SECONDS / 2
        await soon(lambda: process.election._shards_renewed_at == instant[0])
        assert process.election.owns(OWN)
    instant[0] += election_module.LEASE_SECONDS
    assert not process.election.owns(OWN)
    back.set()


# Terms


async def test_a_new_term_waits_for_the_writes_of_the_last_one(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(election_module, "LOCK_TIMEOUT_SECONDS", 0.1)
    first = await processes.one()
    async with first.database.write() as connection:
        await first.fencing.begin(connection)
    async with first.fenced.write() as connection:
        second = await processes.started(OWN)
        assert await second.election.inherits(OWN)
        for waiting in (1, 0, 1):
            await wait_for_count(second.database, WAITING, waiting)
        assert await second.election.inherits(OWN)
        assert (second.election.is_leader(), second.fencing.term) == (False, 0)
        assert not caplog.records
        await connection.execute(insert(metadata_entries).values(name="written", value="in time"))
    assert await second.is_leader()
    assert second.fencing.term == 2
    async with second.database.read() as connection:
        assert await get_entry(connection, "written") == "in time"


async def test_the_open_transaction_of_a_frozen_process_does_not_block_the_next_term(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "IDLE_IN_TRANSACTION_SECONDS", 0.4)
    monkeypatch.setattr(election_module, "LEASE_SECONDS", 0.2)
    first, second = await processes.one(), await processes.one()
    async with second.database.write() as connection:
        await first.fencing.begin(connection)
    led_at_once: list[bool] = []  # even if it had to wait
    with pytest.raises(DatabaseUnavailableError):
        await _write_and_freeze(first, lambda: _take_over(second, led_at_once))
    assert led_at_once == [True]
    assert await term_of(second.database) == 2


async def _write_and_freeze(process: Process, meanwhile: Callable[[], Awaitable[None]]) -> None:
    async with process.fenced.write() as connection:
        await meanwhile()
        await connection.execute(text("SELECT 1"))


async def _take_over(process: Process, led_at_once: list[bool]) -> None:
    """Record whether the process is the leader as soon as `elected` yields."""
    async with process.election.running():
        process.election.stand_for_election()
        await anext(process.election.elected())
        led_at_once.append(process.election.is_leader())


async def test_a_process_frozen_during_a_long_write_does_not_keep_its_locks(url: str, database: Database) -> None:
    names = [f"writer {number}" for number in range(6)]
    programs = [await _start_writer(url, name) for name in names]
    try:
        await asyncio.sleep(0.2)
        for program in programs:
            program.send_signal(signal.SIGSTOP)
        async with database.write() as connection:
            await connection.execute(text(f"SET LOCAL lock_timeout = '{3 * writer.PAUSE_SECONDS}s'"))
            for name in names:
                await connection.execute(delete(metadata_entries).where(metadata_entries.c.name == name))
    finally:
        for program in programs:
            program.kill()
            await program.wait()


async def _start_writer(url: str, name: str) -> asyncio.subprocess.Process:
    program = await asyncio.create_subprocess_exec(
        sys.executable, writer.__file__, url, name, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout
    assert await program.stdout.readline() == b"writes\n"
    return program


async def test_a_permanent_election_failure_is_logged_once(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    process = await processes.one()
    async with process.database.write() as connection:
        await connection.execute(insert(metadata_entries).values(name="term", value="no number"))
    async with process.election.running():
        process.election.stand_for_election()
        await soon(lambda: bool(caplog.records))
        await asyncio.sleep(0.2)
    [warning] = caplog.records
    assert "no number" in warning.getMessage()
    assert "this process can't become the leader" in warning.getMessage()


async def test_a_leader_that_is_fenced_off_steps_down_and_is_elected_again(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    """Change the term, as a dump that is restored while the bot runs does."""
    process, other = await processes.started(), await processes.one()
    begun = process.election.elected()
    await anext(begun)
    async with other.database.write() as connection:
        await other.fencing.begin(connection)
    with pytest.raises(FencedError):
        async with process.fenced.write():
            pass
    assert not process.election.is_leader()
    await anext(begun)
    assert process.election.is_leader()
    assert process.fencing.term == await term_of(other.database) == 3
    [warning] = caplog.records
    assert warning.getMessage() == "another process has become the leader (after term 1); this one steps down"


async def test_fencing_does_not_block_concurrent_reads_and_writes(processes: Processes) -> None:
    process = await processes.one()
    async with process.database.write() as connection:
        await process.fencing.begin(connection)
    async with process.fenced.write() as one, process.fenced.write() as other, process.fenced.read() as third:
        assert await asyncio.gather(*(each.scalar(text("SELECT 1")) for each in (one, other, third))) == [1, 1, 1]


async def test_a_fenced_database_is_readable_but_not_writable_before_the_first_term(processes: Processes) -> None:
    process = await processes.one()
    async with process.fenced.read() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    with pytest.raises(FencedError):
        async with process.fenced.write():
            pass


# Shards


async def test_one_of_two_processes_with_the_same_shard_owns_it(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes.running(OWN) as first:
        assert await first.election.inherits(OWN)
        second = await processes.started(OWN, LISTENING)
        assert await second.election.inherits(LISTENING)  # by then it has tried to lock both shards
        with monkeypatch.context() as patched:
            patched.setattr(election_module, "TAKEOVER_SECONDS", 0.1)
            assert (await first.election.inherits(OWN), await second.election.inherits(OWN)) == (True, False)
    assert await second.election.inherits(OWN)


async def test_an_interaction_during_a_takeover_is_answered(processes: Processes) -> None:
    async with processes.running(OWN) as first:
        assert await first.election.inherits(OWN)
        second = await processes.started(OWN)
        inheriting = asyncio.create_task(second.election.inherits(OWN))
        await asyncio.sleep(0.05)
        assert not inheriting.done()
    assert await inheriting


async def test_a_process_that_loses_its_gateway_connection_releases_the_shard(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await processes.started(OWN)
    assert await first.election.inherits(OWN)
    second = await processes.started(OWN)
    first.election.disconnected(OWN)
    with monkeypatch.context() as patched:
        patched.setattr(election_module, "TAKEOVER_SECONDS", 0)
        assert not await first.election.inherits(OWN)  # also before it has released the lock
    assert await second.election.inherits(OWN)
    assert await first.is_leader()
    first.election.connected(OWN)
    second.election.disconnected(OWN)
    assert await first.election.inherits(OWN)


async def test_each_shard_has_its_own_lock(processes: Processes) -> None:
    first, second = await processes.started(0, 1), await processes.started(2, 3)
    owned = await asyncio.gather(
        *(first.election.inherits(shard) for shard in (0, 1)), *(second.election.inherits(shard) for shard in (2, 3))
    )
    assert owned == [True] * 4
    await wait_for_count(first.database, HELD, 5)


async def test_during_a_database_outage_a_process_keeps_its_shards_but_does_not_lead(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(election_module, "LEASE_SECONDS", 0.3)
    process = await processes.started(OWN)
    assert await process.is_leader()
    assert await process.election.inherits(OWN)
    connect, refusals = type(process.database.engine).connect, []

    def refuse(_: object) -> None:
        refusals.append(time.monotonic())
        raise OSError("connection refused")

    monkeypatch.setattr(type(process.database.engine), "connect", refuse)
    with monkeypatch.context() as patch:
        patch.setattr(election_module, "_TRY_LOCK", text("SELECT key FROM nowhere WHERE key = :keys"))
        assert await soon(lambda: not process.election.is_leader())
    assert await soon(lambda: len(refusals) > 1 and refusals[-1] - refusals[0] > 2 * election_module.LEASE_SECONDS)
    assert await process.election.inherits(OWN)
    assert not process.election.is_leader()
    assert sum("this process sends nothing" in record.getMessage() for record in caplog.records) == 1

    monkeypatch.setattr(type(process.database.engine), "connect", connect)
    assert await process.is_leader()
    assert process.fencing.term == 2


# Notifications


async def test_a_committed_wake_up_reaches_the_leader(processes: Processes) -> None:
    process, other = await processes.started(OWN), await processes.one()
    assert await process.election.inherits(OWN)
    woken = asyncio.Event()
    process.election.on_wake(woken.set)
    async with other.database.write() as connection:
        await wake_leader(connection)
        await asyncio.sleep(0.1)
        assert not woken.is_set()
    async with asyncio.timeout(5):
        await woken.wait()


# The end


async def test_shutdown_releases_all_locks_and_connections(processes: Processes) -> None:
    async with processes.running(OWN) as process:
        assert await process.is_leader()
    other = await processes.one()
    await wait_for_count(other.database, HELD, 0)
    await process.database.close()
    await wait_for_count(
        other.database, text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"), 1
    )


async def test_an_election_can_be_stopped_before_it_has_started(processes: Processes) -> None:
    process = await processes.one()
    async with process.election.running():
        process.election.stand_for_election()
    async with process.election.running():
        await asyncio.sleep(0.01)  # while it is connecting
    await wait_for_count(process.database, HELD, 0)
