"""Failover among three processes: the leader is repeatedly killed, frozen or cut off."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from sqlalchemy import text

from discord_server import Channel
from weekbot.cluster.fencing import TERM
from weekbot.cluster.leader_election import LEADER_LOCK
from weekbot.store.metadata import Metadata

from .harness import SLOT, Bot, Place
from .test_kills import check_ledger

pytestmark = [pytest.mark.chaos, pytest.mark.parametrize("url", ["postgresql"], indirect=True)]

SHARDS = 3
SHARD_IDS = {"a": "0,1", "b": "1,2", "c": "2,0"}  # two processes have each shard
GUILDS, CHANNELS = 12, 84
FULL = bool(os.environ.get("CHAOS_WHOLE"))  # takes seven minutes
KILLS, FREEZES, CUTS = (20, 5, 5) if FULL else (5, 1, 2)
REQUESTS_PER_SECOND = 4 if FULL else 16  # slow enough for the work to outlast all faults
FROZEN_SECONDS = 20.0
TAKEOVER_SECONDS = 10.0
RESPONSE_SECONDS = 3.0

_LEADER = text(
    "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = :key"
)
_CUT = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")


@dataclass
class Crew:
    """The processes, by name."""

    place: Place
    bots: dict[str, Bot] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        url = self.place.database_url
        named = f"{url}{'&' if '?' in url else '?'}application_name={name}"
        self.bots[name] = await self.place.start(
            WEEKBOT_DATABASE_URL=named,
            WEEKBOT_SHARD_COUNT=str(SHARDS),
            WEEKBOT_SHARD_IDS=SHARD_IDS[name],
            WEEKBOT_REQUESTS_PER_SECOND=str(REQUESTS_PER_SECOND),
        )

    async def stop(self) -> None:
        for bot in self.bots.values():
            assert await bot.stop() == 0, self.place.log[-2000:]

    async def leader(self) -> str:
        """Return the name of the leader; wait if there is none."""
        while True:
            async with self.place.database.read() as connection:
                if name := await connection.scalar(_LEADER, {"key": LEADER_LOCK}):
                    return str(name)
            await asyncio.sleep(0.02)

    async def term(self) -> str | None:
        return await Metadata(self.place.database).get(TERM)

    async def complete(self) -> None:
        """Wait until all processes are connected with their shards."""
        sessions = self.place.server.gateway.connected
        await self.place.server.until(lambda: len(sessions()) >= 2 * len(SHARD_IDS), "all shards, twice")

    # Faults of the leader

    async def kill(self, name: str) -> None:
        self.bots[name].kill()
        await self.bots[name].ended()
        await self.start(name)

    async def freeze(self, name: str) -> None:
        self.bots[name].process.send_signal(signal.SIGSTOP)

    async def thaw(self, name: str) -> None:
        self.bots[name].process.send_signal(signal.SIGCONT)

    async def cut(self, name: str) -> None:
        async with self.place.database.write() as connection:
            await connection.execute(_CUT, {"name": name})


@dataclass
class Members:
    """One member on each shard, who repeatedly uses `/framework`; records the times of the responses."""

    place: Place
    answered: dict[int, list[float]] = field(default_factory=lambda: {shard: [] for shard in range(SHARDS)})
    ignored: int = 0

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        channels = {(channel.guild.id >> 22) % SHARDS: channel for channel in self.place.channels}
        asking = [asyncio.create_task(self._ask(shard, channel)) for shard, channel in channels.items()]
        assert len(asking) == SHARDS
        try:
            yield
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, shard: int, channel: Channel) -> None:
        while True:
            try:
                async with asyncio.timeout(RESPONSE_SECONDS):
                    answer = await self.place.server.interact(channel, "framework", {"name": "flask"})
                assert "Flask" in answer.text
                self.answered[shard].append(time.monotonic())
            except (TimeoutError, RuntimeError):  # no process is connected for the shard
                self.ignored += 1
            await asyncio.sleep(0.2)

    async def answered_since(self, moment: float) -> float:
        """Wait for a response on every shard since the moment; return the longest wait in seconds."""
        while not all(times and times[-1] > moment for times in self.answered.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return max(next(each for each in times if each > moment) - moment for times in self.answered.values())


async def test_each_channel_gets_one_post_while_leaders_are_killed_frozen_or_cut_off(place: Place) -> None:
    place.server.world.shards, place.server.world.starts.seconds = SHARDS, 0.2
    place.server.latency = 0.1
    place.add_channels(GUILDS, CHANNELS)
    await place.subscribe(place.channels)
    crew, members = Crew(place), Members(place)
    for name in SHARD_IDS:
        await crew.start(name)
    await crew.complete()
    place.clock.start(SLOT)
    faults = ["kill"] * KILLS + ["freeze"] * FREEZES + ["cut"] * CUTS
    place.random.shuffle(faults)
    async with members.asking():
        for fault in faults:
            await inject_fault(crew, members, fault)
            await asyncio.sleep(place.random.uniform(0.5, 2))
        unfinished = {0} <= place.post_counts()
        await place.settled(seconds=300)
    await crew.stop()
    assert unfinished, "the work was done before all faults were injected"
    assert place.post_counts() == {1}
    await check_ledger(place)
    print(
        f"{len(place.channels)} channels, {sum(map(len, members.answered.values()))} members answered,"
        f" {members.ignored} had to ask again"
    )


async def inject_fault(crew: Crew, members: Members, fault: str) -> None:
    """Inject a fault into the leader; another process must take over, and members of every shard get responses."""
    await crew.complete()
    name, term, started = await crew.leader(), await crew.term(), time.monotonic()
    await getattr(crew, fault)(name)
    async with asyncio.timeout(TAKEOVER_SECONDS):
        while await crew.term() == term:  # noqa: ASYNC110 - another process counts it
            await asyncio.sleep(0.02)
        taken_over = time.monotonic() - started
        answered = await members.answered_since(started)
    print(
        f"{fault} {name}: {await crew.leader()} sends after {taken_over:.1f} s, all are answered after {answered:.1f} s"
    )
    if fault == "freeze":
        await asyncio.sleep(max(0.0, started + FROZEN_SECONDS - time.monotonic()))
        await crew.thaw(name)
