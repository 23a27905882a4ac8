"""Rate limits as Discord states them: one for all requests, and one for each bucket of routes.

They stand in for discord.py's, which sleeps while it holds a request, in states that a cancellation leaves
half-changed.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Self

import aiohttp

from weekbot.delivery.errors import RateLimitedError
from weekbot.runtime.loop import now

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 5.0  # Discord's usual buckets fill up within that; a longer wait is the ledger's
MOST_BUCKETS = 256  # kept, unless more are in use


class RateLimits:
    """What Discord has said about when the next requests may leave."""

    def __init__(self) -> None:
        self._paused_until = -math.inf
        self._buckets: dict[str, Bucket] = {}

    @property
    def pause(self) -> timedelta:
        """How long no request may leave; zero at most times."""
        return timedelta(seconds=max(0.0, self._paused_until - now()))

    def pause_all(self, pause: timedelta) -> None:
        """Let nothing leave for so long; a longer pause that is in force stays."""
        if not self.pause:
            log.warning("Discord asks to pause all requests for %.1f s", pause.total_seconds())
        self._paused_until = max(self._paused_until, now() + pause.total_seconds())

    def check(self) -> None:
        """Raises RateLimitedError during a pause of all requests."""
        if pause := self.pause:
            raise RateLimitedError(pause, everywhere=True)

    def bucket(self, key: str) -> "Bucket":
        """The limit that discord.py knows by this key: a bucket's hash or a route, with its channel or server."""
        if key not in self._buckets:
            self._forget_idle()
            self._buckets[key] = Bucket(partial(self._share, key))
        return self._buckets[key]

    def _share(self, key: str, name: str) -> None:
        """From now on discord.py asks for it by the name that Discord has for it, with its channel or server."""
        _, _, place = key.rpartition(":")
        self._buckets.setdefault(f"{name}:{place}", self._buckets[key])

    def _forget_idle(self) -> None:
        if len(self._buckets) >= MOST_BUCKETS:
            self._buckets = {key: each for key, each in self._buckets.items() if not each.is_idle}


class Bucket:
    """One limit, as discord.py uses it: entered for each request, and updated by its answer.

    `share` is called with the name that Discord has for it. Until Discord has stated the limit, everything passes.
    Entering raises RateLimitedError if the wait would be long.
    """

    def __init__(self, share: Callable[[str], object]) -> None:
        self._share = share
        self.limit = self.remaining = math.inf
        self._resets = -math.inf
        self._outgoing = 0

    @property
    def is_idle(self) -> bool:
        return not self._outgoing and now() >= self._resets

    async def __aenter__(self) -> Self:
        while wait := self._wait():
            if wait > LONGEST_WAIT_SECONDS:
                raise RateLimitedError(timedelta(seconds=wait))
            await asyncio.sleep(wait)
        self.remaining -= 1
        self._outgoing += 1
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        self._outgoing -= 1
        if isinstance(error, RateLimitedError) and not error.everywhere:
            self.remaining, self._resets = 0, now() + error.after.total_seconds()

    def update(self, response: aiohttp.ClientResponse, *, use_clock: bool = False) -> None:  # noqa: ARG002
        """Take over what an answer states, whatever this machine's clock shows."""
        headers = response.headers
        try:
            limit, remaining = int(headers["X-RateLimit-Limit"]), int(headers["X-RateLimit-Remaining"])
            resets = now() + float(headers["X-RateLimit-Reset-After"])
            self._share(headers["X-RateLimit-Bucket"])
        except (KeyError, ValueError):
            return
        # Answers arrive in any order: others on their way may have been counted by this one or not.
        self.limit, self.remaining, self._resets = limit, min(remaining, limit - (self._outgoing - 1)), resets

    def _wait(self) -> float:
        """Seconds until the next request may leave."""
        if self.remaining > 0:
            return 0
        if now() >= self._resets:
            self.remaining = self.limit
        return max(0.0, self._resets - now())
