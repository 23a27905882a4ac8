"""Discord's rate limits: which requests pass, and the responses to the others. Pure logic with an injected clock.

Discord documents the format of limits: https://docs.discord.com/developers/topics/rate-limits. It doesn't document
the limits of routes; the numbers here are what bot authors have observed.
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
"""Returns the time in seconds since 1970."""

Scope: TypeAlias = Literal["user", "global", "shared", "cloudflare"]
"""The scope of a limit; Cloudflare's applies to an IP address and has another format."""

PER_SECOND: Final = 50
INVALID_STATUSES: Final = (401, 403, 429)
MOST_INVALID: Final = 10_000
INVALID_WINDOW: Final = 600.0

# discord.py treats a 429 without this header as a ban by Cloudflare and doesn't retry it.
VIA: Final = {"Via": "1.1 google"}

# Responses to interactions are exempt from the global limit.
UNBOUND: Final = ("/interactions/", "/webhooks/")

MAJOR: Final = ("channel_id", "guild_id", "webhook_id", "webhook_token")

CHANNEL: Final = "/channels/{channel_id}"
MESSAGES: Final = f"{CHANNEL}/messages"
MESSAGE: Final = f"{MESSAGES}/{{message_id}}"
PINS: Final = (f"{MESSAGES}/pins/{{message_id}}", f"{CHANNEL}/pins/{{message_id}}")


@dataclass(frozen=True)
class Limit:
    """`requests` requests of some operations in `seconds` seconds, for each channel, guild or webhook."""

    requests: int
    seconds: float
    operations: Sequence[str]
    scope: Scope = "user"

    @cached_property
    def hash(self) -> str:
        """Return the bucket's hash for clients."""
        return md5(self.operations[0].encode(), usedforsecurity=False).hexdigest()


LIMITS: Final = (
    Limit(5, 5, [f"POST {MESSAGES}"]),
    Limit(5, 5, [f"PATCH {MESSAGE}"]),
    Limit(5, 1, [f"DELETE {MESSAGE}"]),
    # It counts messages that anyone publishes in the channel, not only the bot.
    Limit(10, 3600, [f"POST {MESSAGE}/crosspost"], scope="shared"),
    Limit(50, 300, [f"POST {CHANNEL}/threads", f"POST {MESSAGE}/threads"]),
    Limit(5, 5, [f"{method} {path}" for path in PINS for method in ("PUT", "DELETE")]),
    Limit(10, 15, [f"PATCH {CHANNEL}"]),
    Limit(5, 5, [f"POST {CHANNEL}/typing"]),
)


@dataclass(frozen=True)
class Verdict:
    """The headers of a response, and the seconds to wait; a request with nothing to wait for passes."""

    headers: Mapping[str, str]
    wait: float = 0.0
    scope: Scope = "user"

    def body(self) -> Payload:
        """Return the response body for a request that doesn't pass."""
        is_global = self.scope == "global"
        return {"message": "You are being rate limited.", "retry_after": self.wait, "global": is_global, "code": 0}


PASSES: Final = Verdict({})


@dataclass
class SlidingWindow:
    """Lets at most `most` requests pass in any window of `seconds` seconds."""

    most: int
    seconds: float
    passed: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        """Return the seconds until another request may pass; 0 if it may pass now."""
        while self.passed and self.passed[0] + self.seconds <= now:
            self.passed.popleft()
        return self.passed[0] + self.seconds - now if len(self.passed) >= self.most else 0.0

    def pass_one(self, now: float) -> None:
        """Let a request pass."""
        self.passed.append(now)


@dataclass
class Bucket:
    """Lets a number of requests pass from the first one until it is refilled, all at once."""

    limit: Limit
    resets: float = -math.inf
    left: int = 0

    def take(self, now: float) -> bool:
        """Let a request pass, if any is left."""
        if now >= self.resets:
            self.left, self.resets = self.limit.requests, now + self.limit.seconds
        passes = self.left > 0
        self.left -= passes
        return passes

    def headers(self, now: float) -> dict[str, str]:
        """Return the rate limit headers of every response."""
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
        # Discord documents 50 requests a second, but not when a second starts. Other libraries let it start with the
        # first request. No window is stricter than a sliding one: requests that pass here pass in any case.
        self._window = SlidingWindow(per_second, 1.0) if per_second else None
        self._limits = {operation: limit for limit in limits for operation in limit.operations}
        self._buckets: dict[tuple[str, ...], Bucket] = {}
        self._clock = clock

    def take(self, method: str, route: str, parameters: Mapping[str, str]) -> Verdict:
        """Count a request, given its path template and the path's parameters, and return the verdict."""
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
    """Refuse a request, with a wait in seconds."""
    extra = {"Retry-After": str(math.ceil(wait)), "X-RateLimit-Scope": scope}
    return Verdict({**VIA, **headers, **extra}, _up(wait), scope)


def _up(seconds: float) -> float:
    # Round up to the next millisecond, so that the wait is long enough.
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
