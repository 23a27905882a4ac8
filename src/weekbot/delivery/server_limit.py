"""A limit for each server, so that no server uses up the capacity of all."""

from collections import defaultdict, deque
from datetime import datetime, timedelta

from weekbot.runtime.clock import Clock


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
