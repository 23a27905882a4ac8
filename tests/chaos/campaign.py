"""An adversary's campaign against one bot, which is killed now and then and else has to keep itself alive."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from discord_server import request_fault
from discord_server.rate_limit import InvalidRequestBan, RateLimits
from weekbot.runtime.tasks import cancel_and_wait
from weekbot.store.steps import STRAYS_AFTER

from . import happenings
from .adversary import LATE, Attack
from .fast_time import SPEED, FastTime
from .harness import Bot, Place

RECOVERED_SECONDS = 120.0
GIVEN_UP_SECONDS = 900.0
HEARTBEAT_SECONDS = 41.25
GLANCE = 0.02
HURRIED_EACH_SECONDS = 0.02
LONG_WAIT_SECONDS = 15.0
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
STEPS = ("IDENTIFY", "RESUME")
NUMBER = re.compile(r"\d+(\.\d+)?")
FIELD = re.compile(r"(?<=^without ).*|^.*(?= is null$)|^.*(?= of another type$)")


@dataclass
class Campaign:
    """`recoveries` are the seconds from the cancel_and_wait of each time of faults until all that was due was there."""

    place: Place
    time: FastTime
    dice: Random
    bot: Bot
    kills: int = 0
    exits: list[int] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def hurried(self) -> AsyncIterator[None]:
        """Let the time run fast while the block runs and the bot has nothing to do."""
        hurrying = asyncio.create_task(self._hurry())
        try:
            yield
        finally:
            await cancel_and_wait(hurrying)

    async def _hurry(self) -> None:
        while True:
            self.time.hurry(idle=not self.bot.works())
            await asyncio.sleep(HURRIED_EACH_SECONDS)

    async def time_of_faults(self, seconds: float) -> None:
        """Faults of a new mix, up to four happenings, and perhaps a kill."""
        attack = Attack.drawn(self.dice)
        drawn = self.dice.sample(happenings.ALL, self.dice.choice((1, 2, 3, 4)))
        kills = self.dice.random() < 0.5
        self.say(f"{seconds:.0f} s: {attack}; {[each.__name__ for each in drawn]}{'; a kill' if kills else ''}")
        over = self.time.seconds() + seconds
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._attacked(attack))
            await self.pass_time(seconds * self.dice.uniform(0, 0.4))
            for happening in drawn:
                await stack.enter_async_context(happening(self.place.server, self.time, self.dice))
                self.place.server.injected[f"state: {happening.__name__}"] += 1
            await self.pass_time(seconds * self.dice.uniform(0, 0.3))
            if kills:
                await self.kill()
            await self.pass_time(over - self.time.seconds())

    @asynccontextmanager
    async def _attacked(self, attack: Attack) -> AsyncIterator[None]:
        rest, gateway = self.place.server.rest.faults, self.place.server.gateway
        rest.mixes[:] = [attack.on_registrations(), attack.on_lists(), attack.on_requests()]
        gateway.events.mixes[:], gateway.handshakes.mixes[:] = [attack.on_events()], [attack.on_handshakes()]
        try:
            yield
        finally:
            rest.pending.clear()
            for faults in (rest, gateway.events, gateway.handshakes):
                faults.mixes.clear()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and see to it that a bot which ended by itself is counted, and started again."""
        over = self.time.seconds() + seconds
        while self.time.seconds() < over:
            await asyncio.sleep(GLANCE)
            await self.revive()

    async def revive(self) -> None:
        if (code := self.bot.process.returncode) is not None:
            self.say(f"the bot ended by itself: {code}")
            self.exits.append(code)
            await self.start()

    async def start(self) -> None:
        """Start a bot."""
        self.bot = await self.place.start()

    async def kill(self) -> None:
        """At any moment, or when what a request asks for is done and not answered; it is away for a while."""
        if self.dice.random() < 0.6:
            last = request_fault.held().carried_out()
            plan = self.place.server.inject("POST|PUT|PATCH", "^/channels/", last)
            await self.pass_until(lambda: plan.times <= 0, 20)
        self.bot.kill()
        await self.bot.ended()
        self.kills += 1
        self.place.server.rest.faults.pending.clear()
        away = self.time.seconds() + self.dice.choice((0, 2, 20, 60, 150))
        await self.pass_until(lambda: self.time.seconds() >= away, 150)
        await self.start()

    async def pass_until(self, met: Callable[[], bool], seconds: float) -> None:
        over = self.time.seconds() + seconds
        while not met() and self.time.seconds() < over:  # noqa: ASYNC110 - another process moves the time
            await asyncio.sleep(GLANCE)

    async def recover(self, slot: datetime, posts: int) -> None:
        """Wait until every channel has so many posts and their steps are done; how long it took."""
        limited_until = self.limited_until()
        begun = max(self.time.seconds(), limited_until, slot.timestamp())
        await self.wait_for_limits(limited_until)
        while not await self._is_done(slot, posts):
            await asyncio.sleep(GLANCE)
            await self.revive()
            if self.time.seconds() > begun + GIVEN_UP_SECONDS:
                self.say(f"gave up: {self._lacking(posts)}")
                break
        self.recoveries.append(max(0.0, self.time.seconds() - begun))
        self.say(f"recovered within {self.recoveries[-1]:.0f} s")

    async def tidy_up(self, slot: datetime, posts: int) -> None:
        """Let a look for second posts come, which is minutes after a forum's post."""
        await self.leap(self.time.now() + STRAYS_AFTER)
        given_up = self.time.seconds() + GIVEN_UP_SECONDS
        while not await self.place.ledger.is_settled(slot, strays_too=True) and self.time.seconds() < given_up:
            await self.pass_time(1)
        for channel in self.place.channels:
            if len(standing := self.place.posts(channel)) > posts:
                self.say(f"doubled in {channel.name}: {[f'{each.created_at:%d %H:%M:%S}' for each in standing[-2:]]}")

    async def leap(self, instant: datetime) -> None:
        """Jump ahead to an instant, once all has taken effect that is late: a jump would make it later still."""
        await self.pass_until(lambda: not self.place.server.world.late_effects.waiting, 2 * max(LATE))
        if self.time.now() < instant:
            self.time.start(instant)

    def limited_until(self) -> float:
        """When the last limit ends that Discord has put in force."""
        return max((each.bucket.resets for each in self.place.server.rest.imposed.in_force), default=0.0)

    async def wait_for_limits(self, until: float) -> None:
        """Leap over most of a long pause that Discord has asked for."""
        if until - self.time.seconds() > LONG_WAIT_SECONDS:
            await self.leap(datetime.fromtimestamp(until - LONG_WAIT_SECONDS / 2, UTC))
        await self.pass_time(until - self.time.seconds())

    async def _is_done(self, slot: datetime, posts: int) -> bool:
        return not self._lacking(posts) and await self.place.ledger.is_settled(slot)

    def _lacking(self, posts: int) -> list[str]:
        return [channel.name for channel in self.place.channels if len(self.place.posts(channel)) < posts]

    def say(self, line: str) -> None:
        self.log.append(f"{self.time.now():%Y-%m-%d %H:%M:%S} {line}")
        print(self.log[-1], flush=True)

    def injected(self) -> Counter[str]:
        """How many faults there were, by kind, whichever field, number or id they were about."""
        kinds: Counter[str] = Counter()
        for kind, count in self.place.server.injected.items():
            kinds[_family(kind)] += count
        return kinds


def _family(kind: str) -> str:
    occasion, _, what = kind.partition(": ")
    if occasion in METHODS:
        return f"request: {NUMBER.sub('N', what)}"
    if occasion in STEPS or occasion == "state":
        return f"{occasion}: {what}"
    return f"event: {FIELD.sub('a field', what)}"


def by_fast_time(place: Place, time: FastTime) -> None:
    """Let Discord's limits, and the bot's heartbeats, go by that time too."""
    server = place.server
    server.rest.limits, server.rest.invalid = RateLimits(clock=time.seconds), InvalidRequestBan(clock=time.seconds)
    server.rest.imposed.clock = server.world.starts.clock = time.seconds
    server.gateway.heartbeat_interval = HEARTBEAT_SECONDS / SPEED
