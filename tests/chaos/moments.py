"""When a bot's life ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from discord_server.fault import fault
from weekbot.runtime.tasks import cancel_and_wait

from .harness import Bot, Place

# By then it is over in any case, counted from its first request: it may be that there is nothing left to do.
LONGEST_LIFE = 8.0
LONGEST_START = 60.0  # until its first request, on a machine that has much to do


class Moment(Protocol):
    async def come(self, place: Place, bot: Bot) -> None:
        """Return when it has come."""


@dataclass(frozen=True)
class AfterSeconds:
    """Any time, as while it starts."""

    seconds: float

    async def come(self, place: Place, bot: Bot) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class AfterRequests:
    """In the midst of its work, or while it logs in."""

    requests: int

    async def come(self, place: Place, bot: Bot) -> None:
        enough = len(place.server.requests) + self.requests
        await place.server.until(lambda: len(place.server.requests) >= enough, "requests")


@dataclass(frozen=True)
class BetweenEffectAndAnswer:
    """Discord has done what a request asked for, and the bot never hears of it."""

    after: AfterRequests
    method: str

    async def come(self, place: Place, bot: Bot) -> None:
        await self.after.come(place, bot)
        faults = place.server.rest.faults.pending
        last = fault(self.method, "^/channels/", None, takes_effect=True, held=True, then=bot.kill)
        faults.append(last)
        try:
            await bot.ended()
        finally:
            faults.remove(last)


def drawn(random: Random, requests: int, methods: Sequence[str]) -> Moment:
    """A moment by chance, most often in the midst of the work: within so many requests from the start.

    `methods` are those of requests whose answers may get lost.
    """
    after = AfterRequests(random.randint(1, requests))
    kinds = random.random()
    if kinds < 0.15:
        return AfterSeconds(random.uniform(0, 2))
    if kinds < 0.5:
        return BetweenEffectAndAnswer(after, random.choice(methods))
    return after


async def live_until(moment: Moment, place: Place) -> bool:
    """A life that ends with SIGKILL at the moment, or late if that does not come; whether it came."""
    bot, known = await place.start(), len(place.server.requests)
    coming = asyncio.create_task(moment.come(place, bot))
    begun = asyncio.create_task(place.server.until(lambda: len(place.server.requests) > known, "a request"))
    try:
        await asyncio.wait({coming, begun}, timeout=LONGEST_START, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({coming}, timeout=LONGEST_LIFE)
        return coming.done()
    finally:
        await cancel_and_wait(coming, begun)
        bot.kill()
        await bot.ended()
        # What it had asked for takes effect now, and not after a while that the test lets pass next.
        await asyncio.sleep(2 * place.server.latency)
