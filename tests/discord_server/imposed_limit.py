"""Rate limits that tests impose, independent of earlier requests: of any scope and length, in real time.

Clients wait for them in real time, so another clock would be useless.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from .call import Call
from .rate_limit import LIMITS, MAJOR, UNBOUND, Bucket, Clock, Limit, Scope, Verdict, refusal


@dataclass(frozen=True)
class Limitation:
    """The scope and the length, in seconds, of a limit before it is imposed."""

    scope: Scope
    seconds: float


@dataclass(frozen=True)
class ImposedLimit:
    """An imposed limit, for one bucket unless its scope is global or Cloudflare's."""

    scope: Scope
    bucket: Bucket
    key: tuple[str, ...]
    since: float

    def covers(self, route: str, key: tuple[str, ...]) -> bool:
        """Return whether the limit applies to a request."""
        if self.scope == "cloudflare":
            return True
        return not route.startswith(UNBOUND) if self.scope == "global" else key == self.key

    def verdict(self, now: float) -> Verdict:
        """Return the verdict on a request during the limit."""
        wait = self.bucket.resets - now
        if self.scope == "cloudflare":
            return Verdict({"Retry-After": str(math.ceil(wait))}, wait, self.scope)
        is_global = self.scope == "global"
        return refusal(wait, self.scope, {"X-RateLimit-Global": "true"} if is_global else self.bucket.headers(now))


@dataclass
class ImposedLimits:
    """The imposed limits."""

    clock: Clock = time.time
    in_force: list[ImposedLimit] = field(default_factory=list)

    def begin(self, limitation: Limitation, call: Call, route: str) -> Verdict:
        """Impose a limit, and return the verdict on the request that triggers it."""
        now = self.clock()
        limit = _limit(call, route)
        bucket = Bucket(limit, now + limitation.seconds)
        imposed = ImposedLimit(limitation.scope, bucket, _key(limit, call), now)
        self.in_force.append(imposed)
        return imposed.verdict(now)

    def on(self, call: Call, route: str) -> ImposedLimit | None:
        """Return the limit that applies to a request; of several, the one that ends last."""
        now, key = self.clock(), _key(_limit(call, route), call)
        self.in_force = [each for each in self.in_force if each.bucket.resets > now]
        applicable = (each for each in self.in_force if each.covers(route, key))
        return max(applicable, key=lambda each: each.bucket.resets, default=None)


def _limit(call: Call, route: str) -> Limit:
    operation = f"{call.method} {route}"
    return next((each for each in LIMITS if operation in each.operations), Limit(5, 5, [operation]))


def _key(limit: Limit, call: Call) -> tuple[str, ...]:
    return limit.hash, *(call.parameters[name] for name in MAJOR if name in call.parameters)
