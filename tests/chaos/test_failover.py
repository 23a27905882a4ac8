"""Three processes share the work, and whichever sends is killed, frozen or cut off, again and again."""

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
from .test_kills import the_ledger_is_right

pytestmark = [pytest.mark.chaos, pytest.mark.parametrize("url", ["postgresql"], indirect=True)]

SHARDS = 3
HELD = {"a": "0,1", "b": "1,2", "c": "2,0"}  # each shard is held by two
GUILDS, CHANNELS = 12, 84
WHOLE = bool(os.environ.get("CHAOS_WHOLE"))  # takes seven minutes
KILLS, FREEZES, CUTS = (20, 5, 5) if WHOLE else (5, 1, 2)
REQUESTS_PER_SECOND = 4 if WHOLE else 16  # slow enough for the work to last through all that
FROZEN_SECONDS = 20.0
TAKEN_OVER_SECONDS = ANSWERED_SECONDS = 10.0
MEMBERS_PATIENCE_SECONDS = 3.0

_SENDER = text(
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
            WEEKBOT_SHARD_IDS=HELD[name],
            WEEKBOT_REQUESTS_PER_SECOND=str(REQUESTS_PER_SECOND),
        )

    async def stop(self) -> None:
        for bot in self.bots.values():
            assert await bot.stop() == 0, self.place.log[-2000:]

    async def sender(self) -> str:
        """Who sends; where nobody does just now, who does next."""
        while True:
            async with self.place.database.read() as connection:
                if name := await connection.scalar(_SENDER, {"key": LEADER_LOCK}):
                    return str(name)
            await asyncio.sleep(0.02)

    async def term(self) -> str | None:
        return await Metadata(self.place.database).get(TERM)

    async def complete(self) -> None:
        """All processes hold their shards."""
        sessions = self.place.server.gateway.connected
        await self.place.server.until(lambda: len(sessions()) >= 2 * len(HELD), "all shards, twice")

    # What befalls the one that sends

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
    """One on each shard, who asks about Flask again and again; when each was answered."""

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
                async with asyncio.timeout(MEMBERS_PATIENCE_SECONDS):
                    answer = await self.place.server.interact(channel, "framework", {"name": "flask"})
                assert "Flask" in answer.text
                self.answered[shard].append(time.monotonic())
            except (TimeoutError, RuntimeError):  # no process is connected for the shard
                self.ignored += 1
            await asyncio.sleep(0.2)

    async def answered_since(self, moment: float) -> float:
        """Return when members of every shard were answered since then; the longest that one waited, in seconds."""
        while not all(times and times[-1] > moment for times in self.answered.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return max(next(each for each in times if each > moment) - moment for times in self.answered.values())


async def test_one_post_each_whoever_sends_is_killed_frozen_or_cut_off(place: Place) -> None:
    place.server.world.shards, place.server.world.starts.seconds = SHARDS, 0.2
    place.server.latency = 0.1
    place.furnish(GUILDS, CHANNELS)
    await place.subscribe(place.channels)
    crew, members = Crew(place), Members(place)
    for name in HELD:
        await crew.start(name)
    await crew.complete()
    place.clock.start(SLOT)
    faults = ["kill"] * KILLS + ["freeze"] * FREEZES + ["cut"] * CUTS
    place.random.shuffle(faults)
    async with members.asking():
        for fault in faults:
            await befalls(crew, members, fault)
            await asyncio.sleep(place.random.uniform(0.5, 2))
        unfinished = {0} <= place.numbers_of_posts()
        await place.settled(seconds=300)
    await crew.stop()
    assert unfinished, "the work was done before all had happened"
    assert place.numbers_of_posts() == {1}
    await the_ledger_is_right(place)
    print(
        f"{len(place.channels)} channels, {sum(map(len, members.answered.values()))} members answered,"
        f" {members.ignored} had to ask again"
    )


async def befalls(crew: Crew, members: Members, fault: str) -> None:
    """Another process sends within seconds, and members of every shard are answered meanwhile."""
    await crew.complete()
    name, term, begun = await crew.sender(), await crew.term(), time.monotonic()
    await getattr(crew, fault)(name)
    async with asyncio.timeout(TAKEN_OVER_SECONDS):
        while await crew.term() == term:  # noqa: ASYNC110 - another process counts it
            await asyncio.sleep(0.02)
        taken_over = time.monotonic() - begun
        answered = await members.answered_since(begun)
    print(
        f"{fault} {name}: {await crew.sender()} sends after {taken_over:.1f} s, all are answered after {answered:.1f} s"
    )
    if fault == "freeze":
        await asyncio.sleep(max(0.0, begun + FROZEN_SECONDS - time.monotonic()))
        await crew.thaw(name)
