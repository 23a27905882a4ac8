"""Rate limits that tests put in force, whatever was asked for before: of any scope and length, by real time.

Clients wait for them in real time, so that no other clock is of use.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from .call import Call
from .rate_limit import LIMITS, MAJOR, UNBOUND, Bucket, Clock, Limit, Scope, Verdict, refusal


@dataclass(frozen=True)
class Limitation:
    """The scope and the length, in seconds, of a limit that is not in force yet."""

    scope: Scope
    seconds: float


@dataclass(frozen=True)
class ImposedLimit:
    """A limit in force, for one bucket unless its scope is global or Cloudflare's."""

    scope: Scope
    bucket: Bucket
    key: tuple[str, ...]
    since: float

    def covers(self, route: str, key: tuple[str, ...]) -> bool:
        """Tell whether a request falls under it."""
        if self.scope == "cloudflare":
            return True
        return not route.startswith(UNBOUND) if self.scope == "global" else key == self.key

    def verdict(self, now: float) -> Verdict:
        """Return what a request is answered meanwhile."""
        wait = self.bucket.resets - now
        if self.scope == "cloudflare":
            return Verdict({"Retry-After": str(math.ceil(wait))}, wait, self.scope)
        is_global = self.scope == "global"
        return refusal(wait, self.scope, {"X-RateLimit-Global": "true"} if is_global else self.bucket.headers(now))


@dataclass
class ImposedLimits:
    """The limits in force."""

    clock: Clock = time.time
    in_force: list[ImposedLimit] = field(default_factory=list)

    def begin(self, limitation: Limitation, call: Call, route: str) -> Verdict:
        """Put a limit in force, which the request that meets it is refused by first."""
        now = self.clock()
        limit = _limit(call, route)
        bucket = Bucket(limit, now + limitation.seconds)
        begun = ImposedLimit(limitation.scope, bucket, _key(limit, call), now)
        self.in_force.append(begun)
        return begun.verdict(now)

    def on(self, call: Call, route: str) -> ImposedLimit | None:
        """Return the limit that a request falls under; of several, the one that ends last."""
        now, key = self.clock(), _key(_limit(call, route), call)
        self.in_force = [each for each in self.in_force if each.bucket.resets > now]
        hit = (each for each in self.in_force if each.covers(route, key))
        return max(hit, key=lambda each: each.bucket.resets, default=None)


def _limit(call: Call, route: str) -> Limit:
    operation = f"{call.method} {route}"
    return next((each for each in LIMITS if operation in each.operations), Limit(5, 5, [operation]))


def _key(limit: Limit, call: Call) -> tuple[str, ...]:
    return limit.hash, *(call.parameters[name] for name in MAJOR if name in call.parameters)
