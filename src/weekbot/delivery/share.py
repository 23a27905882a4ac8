"""How much of something one server may have in a while, so that it takes nothing from the others."""

from collections import defaultdict, deque
from datetime import datetime, timedelta

from weekbot.clock import Clock


class Share:
    """Counts each server's: `most` within any `window`. If the clock is set, it counts anew."""

    def __init__(self, most: int, window: timedelta, clock: Clock) -> None:
        self._most = most
        self._window = window
        self._clock = clock
        self._taken: dict[int, deque[datetime]] = defaultdict(deque)

    def take(self, guild_id: int) -> None:
        """The server has had one more."""
        self._taken[guild_id].append(self._clock.now())

    def pause(self, guild_id: int) -> timedelta:
        """How long the server has to wait for another one; not at all while some of its share is left."""
        recent, now = self._taken.get(guild_id, deque()), self._clock.now()
        while recent and not timedelta() <= now - recent[0] < self._window:
            recent.popleft()
        if not recent:
            self._taken.pop(guild_id, None)
        return recent[-self._most] + self._window - now if len(recent) >= self._most else timedelta()
