"""The requests that Discord holds against the bot's address: after ten thousand in ten minutes it answers none."""

import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from weekbot.delivery.errors import RetryableError
from weekbot.i18n.language import N_

WINDOW_SECONDS = 600.0
MOST = 5_000  # half of what Discord allows, as another process may be using the same address
_STATUSES = (401, 403, 429)


class CircuitBreaker:
    """Counts them on a clock that cannot be put back, and stops requests while there are too many."""

    def __init__(self, most: int = MOST, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._recent: deque[float] = deque()

    @property
    def count(self) -> int:
        """How many there were in the last ten minutes."""
        while self._recent and self._recent[0] <= self._now() - WINDOW_SECONDS:
            self._recent.popleft()
        return len(self._recent)

    def answered(self, status: int, *, shared: bool) -> None:
        """A request was answered so; a 429 for a limit that is `shared` with other bots does not count."""
        if status in _STATUSES and not shared:
            self._recent.append(self._now())

    @property
    def pause(self) -> timedelta:
        """For how long nothing may be sent; zero at most times."""
        too_many = self.count - self._most
        if too_many < 0:
            return timedelta()
        return timedelta(seconds=self._recent[too_many] + WINDOW_SECONDS - self._now())

    def not_too_many(self) -> None:
        """Raises RetryableError while there are too many, with how long that lasts."""
        if pause := self.pause:
            raise RetryableError(N_("Discord refused too many requests; weekbot pauses them for a few minutes"), pause)
