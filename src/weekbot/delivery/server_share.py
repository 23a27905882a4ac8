"""A limit for each server, so that no server uses up what all of them need."""

from collections import defaultdict, deque
from datetime import datetime, timedelta

from weekbot.runtime.clock import Clock


class ServerShare:
    """Allows `most` uses per server within any `window`. If the clock is set, the count starts over."""

    def __init__(self, most: int, window: timedelta, clock: Clock) -> None:
        self._most = most
        self._window = window
        self._clock = clock
        self._taken: dict[int, deque[datetime]] = defaultdict(deque)

    def take(self, guild_id: int) -> None:
        """Count one use by the server."""
        self._taken[guild_id].append(self._clock.now())

    def pause(self, guild_id: int) -> timedelta:
        """How long the server has to wait until its next use; zero while it is below its limit."""
        recent, now = self._taken.get(guild_id, deque()), self._clock.now()
        while recent and not timedelta() <= now - recent[0] < self._window:
            recent.popleft()
        if not recent:
            self._taken.pop(guild_id, None)
        return recent[-self._most] + self._window - now if len(recent) >= self._most else timedelta()
