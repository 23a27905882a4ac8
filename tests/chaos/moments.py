"""The moments at which bots are killed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from discord_server.fault import fault
from weekbot.runtime.tasks import cancel_and_wait

from .harness import Bot, Place

# A bot is killed this many seconds after its first request at the latest, because there may be no more work.
MAX_LIFE_SECONDS = 8.0
MAX_START_SECONDS = 60.0  # until its first request, on a busy machine


class Moment(Protocol):
    async def wait(self, place: Place, bot: Bot) -> None:
        """Return when the moment has come."""


@dataclass(frozen=True)
class AfterSeconds:
    """After a number of seconds, for example while the bot starts."""

    seconds: float

    async def wait(self, place: Place, bot: Bot) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class AfterRequests:
    """After a number of requests, while the bot works or logs in."""

    requests: int

    async def wait(self, place: Place, bot: Bot) -> None:
        enough = len(place.server.requests) + self.requests
        await place.server.until(lambda: len(place.server.requests) >= enough, "requests")


@dataclass(frozen=True)
class BetweenEffectAndResponse:
    """After a request has taken effect and before its response."""

    after: AfterRequests
    method: str

    async def wait(self, place: Place, bot: Bot) -> None:
        await self.after.wait(place, bot)
        faults = place.server.rest.faults.pending
        last = fault(self.method, "^/channels/", None, takes_effect=True, held=True, then=bot.kill)
        faults.append(last)
        try:
            await bot.ended()
        finally:
            faults.remove(last)


def random_moment(random: Random, requests: int, methods: Sequence[str]) -> Moment:
    """Return a random moment, usually within `requests` requests from the start.

    `methods` are the methods of requests whose responses may be lost.
    """
    after = AfterRequests(random.randint(1, requests))
    kind = random.random()
    if kind < 0.15:
        return AfterSeconds(random.uniform(0, 2))
    if kind < 0.5:
        return BetweenEffectAndResponse(after, random.choice(methods))
    return after


async def run_until(moment: Moment, place: Place) -> bool:
    """Start a bot and kill it at the moment, or after a timeout; return whether the moment came."""
    bot, known = await place.start(), len(place.server.requests)
    waiting = asyncio.create_task(moment.wait(place, bot))
    started = asyncio.create_task(place.server.until(lambda: len(place.server.requests) > known, "a request"))
    try:
        await asyncio.wait({waiting, started}, timeout=MAX_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({waiting}, timeout=MAX_LIFE_SECONDS)
        return waiting.done()
    finally:
        await cancel_and_wait(waiting, started)
        bot.kill()
        await bot.ended()
        # Its last requests take effect now, before the test moves the clock.
        await asyncio.sleep(2 * place.server.latency)
