"""A circuit breaker for invalid requests: Discord blocks an IP address after 10,000 of them in ten minutes."""

import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from weekbot.delivery.errors import RetryableError
from weekbot.i18n.language import N_

WINDOW_SECONDS = 600.0
MAX_INVALID_REQUESTS = 5_000  # half of Discord's limit, as another process may be using the same IP address
_INVALID_STATUSES = (401, 403, 429)


class CircuitBreaker:
    """Counts invalid requests on a monotonic clock, and opens when they reach the limit."""

    def __init__(self, limit: int = MAX_INVALID_REQUESTS, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._now = now
        self._recent: deque[float] = deque()

    @property
    def count(self) -> int:
        while self._recent and self._recent[0] <= self._now() - WINDOW_SECONDS:
            self._recent.popleft()
        return len(self._recent)

    def record(self, status: int, *, shared: bool) -> None:
        """Count a response if it is invalid. A 429 for a limit `shared` with other bots isn't."""
        if status in _INVALID_STATUSES and not shared:
            self._recent.append(self._now())

    @property
    def pause(self) -> timedelta:
        """How long the circuit stays open; zero if it is closed."""
        excess = self.count - self._limit
        if excess < 0:
            return timedelta()
        return timedelta(seconds=self._recent[excess] + WINDOW_SECONDS - self._now())

    def check(self) -> None:
        """Raises RetryableError while the circuit is open."""
        if pause := self.pause:
            raise RetryableError(N_("Discord refused too many requests; weekbot pauses them for a few minutes"), pause)
