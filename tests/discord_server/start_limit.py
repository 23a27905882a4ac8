"""The limit of session starts at the gateway."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from .payload import Payload
from .rate_limit import Clock, SlidingWindow

DAY = 86_400.0
IDENTIFY_SECONDS = 5.0


@dataclass
class StartLimit:
    """A number of sessions a day, and at most `max_concurrency` at the same time.

    Shards with the same remainder by `max_concurrency` must start `seconds` apart; Discord's five seconds would
    delay each test that starts a bot twice, so tests request them with IDENTIFY_SECONDS.
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
        """Return the remaining number of sessions of the day."""
        self._refill()
        return self.total - self.begun

    def payload(self) -> Payload:
        """Return the limit as in /gateway/bot, with the time until its reset in milliseconds."""
        return {
            "total": self.total,
            "remaining": self.remaining,
            "reset_after": int((self._resets - self.clock()) * 1000),
            "max_concurrency": self.max_concurrency,
        }

    def too_soon(self, shard: int) -> bool:
        """Return whether a shard has to wait for another one; otherwise count its start."""
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
