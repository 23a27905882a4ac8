"""An adversary's campaign against one bot, which is sometimes killed and otherwise has to survive."""

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

from . import disruptions
from .adversary import LATE, Attack
from .fast_time import SPEED, FastTime
from .harness import Bot, Place

RECOVERY_SECONDS = 120.0
GIVE_UP_SECONDS = 900.0
HEARTBEAT_SECONDS = 41.25
POLL_SECONDS = 0.02
SPEED_UPDATE_SECONDS = 0.02
LONG_WAIT_SECONDS = 15.0
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
STEPS = ("IDENTIFY", "RESUME")
NUMBER = re.compile(r"\d+(\.\d+)?")
FIELD = re.compile(r"(?<=^without ).*|^.*(?= is null$)|^.*(?= of another type$)")


@dataclass
class Campaign:
    """`recoveries` are the seconds from the end of each fault period until all due posts had been sent."""

    place: Place
    time: FastTime
    dice: Random
    bot: Bot
    kills: int = 0
    exits: list[int] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def fast_forwarding(self) -> AsyncIterator[None]:
        """Run the time fast during the block whenever the bot is idle."""
        updating = asyncio.create_task(self._update_speed())
        try:
            yield
        finally:
            await cancel_and_wait(updating)

    async def _update_speed(self) -> None:
        while True:
            self.time.update_speed(idle=not self.bot.is_busy())
            await asyncio.sleep(SPEED_UPDATE_SECONDS)

    async def fault_period(self, seconds: float) -> None:
        """Inject a random mix of faults and up to four disruptions, and possibly kill the bot."""
        attack = Attack.random(self.dice)
        chosen = self.dice.sample(disruptions.ALL, self.dice.choice((1, 2, 3, 4)))
        kills = self.dice.random() < 0.5
        self.note(f"{seconds:.0f} s: {attack}; {[each.__name__ for each in chosen]}{'; a kill' if kills else ''}")
        end = self.time.seconds() + seconds
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._attacked(attack))
            await self.pass_time(seconds * self.dice.uniform(0, 0.4))
            for disruption in chosen:
                await stack.enter_async_context(disruption(self.place.server, self.time, self.dice))
                self.place.server.injected[f"state: {disruption.__name__}"] += 1
            await self.pass_time(seconds * self.dice.uniform(0, 0.3))
            if kills:
                await self.kill()
            await self.pass_time(end - self.time.seconds())

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
        """Let time pass; count and restart a bot that exited."""
        end = self.time.seconds() + seconds
        while self.time.seconds() < end:
            await asyncio.sleep(POLL_SECONDS)
            await self.revive()

    async def revive(self) -> None:
        if (code := self.bot.process.returncode) is not None:
            self.note(f"the bot ended by itself: {code}")
            self.exits.append(code)
            await self.start()

    async def start(self) -> None:
        """Start a bot."""
        self.bot = await self.place.start()

    async def kill(self) -> None:
        """Kill the bot at a random moment or between a request's effect and its response; restart it after a while."""
        if self.dice.random() < 0.6:
            last = request_fault.held().carried_out()
            plan = self.place.server.inject("POST|PUT|PATCH", "^/channels/", last)
            await self.pass_until(lambda: plan.times <= 0, 20)
        self.bot.kill()
        await self.bot.ended()
        self.kills += 1
        self.place.server.rest.faults.pending.clear()
        restart_at = self.time.seconds() + self.dice.choice((0, 2, 20, 60, 150))
        await self.pass_until(lambda: self.time.seconds() >= restart_at, 150)
        await self.start()

    async def pass_until(self, met: Callable[[], bool], seconds: float) -> None:
        end = self.time.seconds() + seconds
        while not met() and self.time.seconds() < end:  # noqa: ASYNC110 - another process moves the time
            await asyncio.sleep(POLL_SECONDS)

    async def recover(self, slot: datetime, posts: int) -> None:
        """Wait until every channel has that number of posts with finished steps, and record how long that took."""
        limited_until = self.limited_until()
        start = max(self.time.seconds(), limited_until, slot.timestamp())
        await self.wait_for_limits(limited_until)
        while not await self._is_done(slot, posts):
            await asyncio.sleep(POLL_SECONDS)
            await self.revive()
            if self.time.seconds() > start + GIVE_UP_SECONDS:
                self.note(f"gave up: {self._incomplete(posts)}")
                break
        self.recoveries.append(max(0.0, self.time.seconds() - start))
        self.note(f"recovered within {self.recoveries[-1]:.0f} s")

    async def remove_duplicates(self, slot: datetime, posts: int) -> None:
        """Wait for the search for duplicate posts, which is minutes after a forum post."""
        await self.leap(self.time.now() + STRAYS_AFTER)
        given_up = self.time.seconds() + GIVE_UP_SECONDS
        while (
            not await self.place.ledger.is_settled(slot, including_duplicates=True) and self.time.seconds() < given_up
        ):
            await self.pass_time(1)
        for channel in self.place.channels:
            if len(found := self.place.posts(channel)) > posts:
                self.note(f"doubled in {channel.name}: {[f'{each.created_at:%d %H:%M:%S}' for each in found[-2:]]}")

    async def leap(self, instant: datetime) -> None:
        """Jump ahead to an instant after all late effects; the jump would delay them further."""
        await self.pass_until(lambda: not self.place.server.world.late_effects.waiting, 2 * max(LATE))
        if self.time.now() < instant:
            self.time.start(instant)

    def limited_until(self) -> float:
        """Return when the last active rate limit ends."""
        return max((each.bucket.resets for each in self.place.server.rest.imposed.in_force), default=0.0)

    async def wait_for_limits(self, until: float) -> None:
        """Skip most of a long pause that Discord requested."""
        if until - self.time.seconds() > LONG_WAIT_SECONDS:
            await self.leap(datetime.fromtimestamp(until - LONG_WAIT_SECONDS / 2, UTC))
        await self.pass_time(until - self.time.seconds())

    async def _is_done(self, slot: datetime, posts: int) -> bool:
        return not self._incomplete(posts) and await self.place.ledger.is_settled(slot)

    def _incomplete(self, posts: int) -> list[str]:
        return [channel.name for channel in self.place.channels if len(self.place.posts(channel)) < posts]

    def note(self, line: str) -> None:
        self.log.append(f"{self.time.now():%Y-%m-%d %H:%M:%S} {line}")
        print(self.log[-1], flush=True)

    def injected(self) -> Counter[str]:
        """Count the faults by kind, without fields, numbers and IDs."""
        kinds: Counter[str] = Counter()
        for kind, count in self.place.server.injected.items():
            kinds[_kind_of(kind)] += count
        return kinds


def _kind_of(kind: str) -> str:
    occasion, _, description = kind.partition(": ")
    if occasion in METHODS:
        return f"request: {NUMBER.sub('N', description)}"
    if occasion in STEPS or occasion == "state":
        return f"{occasion}: {description}"
    return f"event: {FIELD.sub('a field', description)}"


def use_fast_time(place: Place, time: FastTime) -> None:
    """Use the fast time for Discord's rate limits and the bot's heartbeats."""
    server = place.server
    server.rest.limits, server.rest.invalid = RateLimits(clock=time.seconds), InvalidRequestBan(clock=time.seconds)
    server.rest.imposed.clock = server.world.starts.clock = time.seconds
    server.gateway.heartbeat_interval = HEARTBEAT_SECONDS / SPEED
