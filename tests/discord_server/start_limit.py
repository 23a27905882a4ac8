"""How often a bot may begin a session at the gateway."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from .payload import Payload
from .rate_limit import Clock, SlidingWindow

DAY = 86_400.0
IDENTIFY_SECONDS = 5.0


@dataclass
class StartLimit:
    """So many sessions a day, and at once no more than max_concurrency.

    Shards that leave the same remainder by max_concurrency follow one another by so many seconds; Discord's five would
    hold up each test that starts a bot twice, so that it is asked for with IDENTIFY_SECONDS.
    """

    total: int = 1000
    max_concurrency: int = 1
    seconds: float = 0.0
    clock: Clock = time.time
    begun: int = 0
    _resets: float = 0.0
    _windows: dict[int, SlidingWindow] = field(default_factory=dict)

    @property
    def remaining(self) -> int:
        """Return how many sessions are left for today."""
        self._refill()
        return self.total - self.begun

    def payload(self) -> Payload:
        """Return it as /gateway/bot has it, with the time until it is full again in milliseconds."""
        return {
            "total": self.total,
            "remaining": self.remaining,
            "reset_after": int((self._resets - self.clock()) * 1000),
            "max_concurrency": self.max_concurrency,
        }

    def too_soon(self, shard: int) -> bool:
        """Tell whether a shard has to wait for another one, and count it if it has not."""
        now, key = self.clock(), shard % self.max_concurrency
        window = self._windows.setdefault(key, SlidingWindow(1, self.seconds))
        if window.wait(now):
            return True
        window.pass_one(now)
        self._refill()
        self.begun += 1
        return False

    def _refill(self) -> None:
        if self.clock() >= self._resets:
            self.begun, self._resets = 0, self.clock() + DAY
