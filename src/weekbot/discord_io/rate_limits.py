"""Discord's rate limits, for all requests and for each bucket; a cancellation would make discord.py's inconsistent."""

import asyncio
import logging
import math
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Self

import aiohttp

from weekbot.delivery.errors import RateLimitedError
from weekbot.runtime.loop import now

log = logging.getLogger(__name__)

MAX_WAIT_SECONDS = 5.0  # Discord's usual buckets refill within that; after a longer wait the ledger retries
MAX_BUCKETS = 256  # kept, unless more are in use


class RateLimits:
    def __init__(self) -> None:
        self._paused_until = -math.inf
        self._buckets: dict[str, Bucket] = {}

    @property
    def pause(self) -> timedelta:
        """The rest of a pause of all requests; zero if there is none."""
        return timedelta(seconds=max(0.0, self._paused_until - now()))

    def pause_all(self, pause: timedelta) -> None:
        if not self.pause:
            log.warning("pausing all requests for %.1f s, as Discord asks", pause.total_seconds())
        self._paused_until = max(self._paused_until, now() + pause.total_seconds())

    def check(self) -> None:
        """Raises RateLimitedError during a pause of all requests."""
        if pause := self.pause:
            raise RateLimitedError(pause, everywhere=True)

    def bucket(self, key: str) -> "Bucket":
        """Return the limit for one of discord.py's keys: a route or a bucket's hash, then a channel or server."""
        if key not in self._buckets:
            self._drop_idle()
            self._buckets[key] = Bucket(partial(self._add_alias, key))
        return self._buckets[key]

    def _add_alias(self, key: str, bucket_hash: str) -> None:
        """Keep the limit for the key that discord.py uses once it knows the bucket's hash."""
        _, _, target = key.rpartition(":")
        self._buckets.setdefault(f"{bucket_hash}:{target}", self._buckets[key])

    def _drop_idle(self) -> None:
        if len(self._buckets) >= MAX_BUCKETS:
            self._buckets = {key: each for key, each in self._buckets.items() if not each.is_idle}


class Bucket:
    """A limit with discord.py's interface; entering it may raise RateLimitedError. `on_hash` gets the bucket's hash."""

    def __init__(self, on_hash: Callable[[str], object]) -> None:
        self._on_hash = on_hash
        self.limit = self.remaining = math.inf
        self._resets_at = -math.inf
        self._in_flight = 0

    @property
    def is_idle(self) -> bool:
        return not self._in_flight and now() >= self._resets_at

    async def __aenter__(self) -> Self:
        while wait := self._wait_seconds():
            if wait > MAX_WAIT_SECONDS:
                raise RateLimitedError(timedelta(seconds=wait))
            await asyncio.sleep(wait)
        self.remaining -= 1
        self._in_flight += 1
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._in_flight -= 1
        if isinstance(error, RateLimitedError) and not error.everywhere:
            self.remaining, self._resets_at = 0, now() + error.after.total_seconds()

    def update(self, response: aiohttp.ClientResponse, *, use_clock: bool = False) -> None:  # noqa: ARG002
        """Read the limit from a response, independently of the machine's clock."""
        headers = response.headers
        try:
            limit, remaining = int(headers["X-RateLimit-Limit"]), int(headers["X-RateLimit-Remaining"])
            resets_at = now() + float(headers["X-RateLimit-Reset-After"])
            self._on_hash(headers["X-RateLimit-Bucket"])
        except (KeyError, ValueError):
            return
        # Responses arrive in any order: this one may have counted the other requests in flight or not.
        self.limit, self.remaining, self._resets_at = limit, min(remaining, limit - (self._in_flight - 1)), resets_at

    def _wait_seconds(self) -> float:
        if self.remaining > 0:
            return 0
        if now() >= self._resets_at:
            self.remaining = self.limit
        return max(0.0, self._resets_at - now())
