"""Discord's rate limits: how many requests pass, and what the others are told. Pure, with its clock passed in.

Discord documents how limits are told: https://docs.discord.com/developers/topics/rate-limits. What the limit of a route
is, it does not say; the numbers here are what authors of bots have seen.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import md5
from typing import Final, Literal, TypeAlias

from .payload import Payload

Clock: TypeAlias = Callable[[], float]
"""Tells the time, in seconds since 1970."""

Scope: TypeAlias = Literal["user", "global", "shared", "cloudflare"]
"""What a limit is of; Cloudflare's is of an address, and is not told as Discord's are."""

PER_SECOND: Final = 50
INVALID_STATUSES: Final = (401, 403, 429)
MOST_INVALID: Final = 10_000
INVALID_WINDOW: Final = 600.0

# discord.py takes a 429 without this header for a ban by Cloudflare and does not retry it.
VIA: Final = {"Via": "1.1 google"}

# Answers to interactions are outside the global limit.
UNBOUND: Final = ("/interactions/", "/webhooks/")

MAJOR: Final = ("channel_id", "guild_id", "webhook_id", "webhook_token")

CHANNEL: Final = "/channels/{channel_id}"
MESSAGES: Final = f"{CHANNEL}/messages"
MESSAGE: Final = f"{MESSAGES}/{{message_id}}"
PINS: Final = (f"{MESSAGES}/pins/{{message_id}}", f"{CHANNEL}/pins/{{message_id}}")


@dataclass(frozen=True)
class Limit:
    """So many requests in so many seconds, of some operations together, for each channel, guild or webhook."""

    requests: int
    seconds: float
    operations: Sequence[str]
    scope: Scope = "user"

    @cached_property
    def hash(self) -> str:
        """Return the name by which clients know it."""
        return md5(self.operations[0].encode(), usedforsecurity=False).hexdigest()


LIMITS: Final = (
    Limit(5, 5, [f"POST {MESSAGES}"]),
    Limit(5, 5, [f"PATCH {MESSAGE}"]),
    Limit(5, 1, [f"DELETE {MESSAGE}"]),
    # It counts what everybody publishes in the channel, not just the bot.
    Limit(10, 3600, [f"POST {MESSAGE}/crosspost"], scope="shared"),
    Limit(50, 300, [f"POST {CHANNEL}/threads", f"POST {MESSAGE}/threads"]),
    Limit(5, 5, [f"{method} {path}" for path in PINS for method in ("PUT", "DELETE")]),
    Limit(10, 15, [f"PATCH {CHANNEL}"]),
    Limit(5, 5, [f"POST {CHANNEL}/typing"]),
)


@dataclass(frozen=True)
class Verdict:
    """Whether a request passes, which it does with nothing to wait for, and the headers of its answer either way."""

    headers: Mapping[str, str]
    wait: float = 0.0
    scope: Scope = "user"

    def body(self) -> Payload:
        """Return what is answered to a request that does not pass."""
        is_global = self.scope == "global"
        return {"message": "You are being rate limited.", "retry_after": self.wait, "global": is_global, "code": 0}


PASSES: Final = Verdict({})


@dataclass
class SlidingWindow:
    """Lets no more than so many through in any stretch of so many seconds."""

    most: int
    seconds: float
    passed: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        """Return the seconds until another one may pass, 0 for now."""
        while self.passed and self.passed[0] + self.seconds <= now:
            self.passed.popleft()
        return self.passed[0] + self.seconds - now if len(self.passed) >= self.most else 0.0

    def pass_one(self, now: float) -> None:
        """Let one through."""
        self.passed.append(now)


@dataclass
class Bucket:
    """Lets so many through from its first request on until it is full again, all at once."""

    limit: Limit
    resets: float = -math.inf
    left: int = 0

    def take(self, now: float) -> bool:
        """Let one through, if any is left."""
        if now >= self.resets:
            self.left, self.resets = self.limit.requests, now + self.limit.seconds
        passes = self.left > 0
        self.left -= passes
        return passes

    def headers(self, now: float) -> dict[str, str]:
        """Return what every answer tells of it."""
        return {
            "X-RateLimit-Limit": str(self.limit.requests),
            "X-RateLimit-Remaining": str(self.left),
            "X-RateLimit-Reset": f"{self.resets:.3f}",
            "X-RateLimit-Reset-After": f"{_up(self.resets - now):.3f}",
            "X-RateLimit-Bucket": self.limit.hash,
        }


class RateLimits:
    """All limits of one bot: the global one, and those of the routes."""

    def __init__(
        self, per_second: int | None = PER_SECOND, limits: Sequence[Limit] = LIMITS, clock: Clock = time.time
    ) -> None:
        # Discord says 50 requests a second, not when a second begins. Other libraries take it to begin with its first
        # request. No window is stricter than a sliding one: what passes here passes however Discord counts.
        self._window = SlidingWindow(per_second, 1.0) if per_second else None
        self._limits = {operation: limit for limit in limits for operation in limit.operations}
        self._buckets: dict[tuple[str, ...], Bucket] = {}
        self._clock = clock

    def take(self, method: str, route: str, parameters: Mapping[str, str]) -> Verdict:
        """Count a request, by its path's template and what stands in the path, and tell whether it passes."""
        now = self._clock()
        if self._window and not route.startswith(UNBOUND):
            if wait := self._window.wait(now):
                return refusal(wait, "global", {"X-RateLimit-Global": "true"})
            self._window.pass_one(now)
        limit = self._limits.get(f"{method} {route}")
        return PASSES if limit is None else self._of_bucket(self._bucket(limit, parameters), now)

    def _bucket(self, limit: Limit, parameters: Mapping[str, str]) -> Bucket:
        key = (limit.hash, *(parameters[name] for name in MAJOR if name in parameters))
        if key not in self._buckets:
            self._buckets[key] = Bucket(limit)
        return self._buckets[key]

    def _of_bucket(self, bucket: Bucket, now: float) -> Verdict:
        passes = bucket.take(now)
        headers = bucket.headers(now)
        return Verdict(headers) if passes else refusal(bucket.resets - now, bucket.limit.scope, headers)


def refusal(wait: float, scope: Scope, headers: Mapping[str, str]) -> Verdict:
    """Refuse a request for so many seconds."""
    told = {"Retry-After": str(math.ceil(wait)), "X-RateLimit-Scope": scope}
    return Verdict({**VIA, **headers, **told}, _up(wait), scope)


def _up(seconds: float) -> float:
    # To the next millisecond, so that who waits as told has waited long enough.
    return math.ceil(seconds * 1000) / 1000


class InvalidRequestBan:
    """Counts invalid requests, and bans the IP address for too many of them."""

    def __init__(self, most: int = MOST_INVALID, clock: Clock = time.time) -> None:
        self.count = 0
        self._window = SlidingWindow(most, INVALID_WINDOW)
        self._clock = clock

    @property
    def banned(self) -> bool:
        """Return whether the IP address is banned."""
        return self._window.wait(self._clock()) > 0

    def add(self, status: int | None, scope: Scope = "user") -> None:
        """Count a response if it is invalid."""
        if status in INVALID_STATUSES and scope != "shared":
            self.count += 1
            self._window.pass_one(self._clock())
