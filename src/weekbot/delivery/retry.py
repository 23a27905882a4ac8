"""The pause before the next attempt, and before a server's next use, so that no server uses up the capacity of all."""

import random
from collections import defaultdict, deque
from datetime import datetime, timedelta

from weekbot.delivery.errors import RateLimitedError, RetryableError
from weekbot.runtime.clock import Clock

_FIRST = timedelta(seconds=2)
LONGEST = timedelta(seconds=90)  # short enough for a failed request to succeed within two minutes after it can


def pause(attempts: int, longest: timedelta = LONGEST) -> timedelta:
    """Exponential backoff up to the longest pause, with jitter so that many retries don't coincide."""
    doubled = min(_FIRST * int(2 ** min(attempts - 1, 20)), longest)
    return doubled * random.uniform(0.75, 1.25)  # noqa: S311 - nothing depends on its quality


def pause_after(error: Exception, attempts: int, longest: timedelta = LONGEST) -> timedelta:
    """The backoff, or the time that Discord asks to wait if that is longer."""
    if isinstance(error, RateLimitedError) and error.everywhere:
        return max(_FIRST, error.after)  # no request fails while all of them are paused
    after = error.after if isinstance(error, RetryableError) else timedelta()
    return max(pause(attempts, longest), after)


class ServerLimit:
    """Allows `limit` uses per server within any `window`. If the clock is set, the count starts over."""

    def __init__(self, limit: int, window: timedelta, clock: Clock) -> None:
        self._limit = limit
        self._window = window
        self._clock = clock
        self._uses: dict[int, deque[datetime]] = defaultdict(deque)

    def use(self, guild_id: int) -> None:
        self._uses[guild_id].append(self._clock.now())

    def pause(self, guild_id: int) -> timedelta:
        """How long the server has to wait for its next use; zero while it is below its limit."""
        recent, now = self._uses.get(guild_id, deque()), self._clock.now()
        while recent and not timedelta() <= now - recent[0] < self._window:
            recent.popleft()
        if not recent:
            self._uses.pop(guild_id, None)
        return recent[-self._limit] + self._window - now if len(recent) >= self._limit else timedelta()
