"""The simulated Discord's clock, which follows the bot's fast time between actions."""

import time

from simcord._clock import Clock as SimulatedClock

from weekbot.runtime.clock import FastClock


class ChannelClock(SimulatedClock):
    """Runs in real time between catch-ups, so that no answer exceeds the three seconds that Discord allows."""

    def __init__(self, clock: FastClock) -> None:
        super().__init__()
        self._clock = clock
        self._epoch = clock.now()
        self._reached = 0.0
        self._since = time.perf_counter()

    @property
    def elapsed(self) -> float:
        return self._reached + time.perf_counter() - self._since

    @elapsed.setter
    def elapsed(self, _: float) -> None:
        """Ignore the base class, which sets it to 0."""

    def advance(self, seconds: float) -> None:
        """Do nothing: time passes by itself."""

    def catch_up(self) -> None:
        bots = (self._clock.now() - self._epoch).total_seconds()
        self._reached, self._since = max(bots, self.elapsed), time.perf_counter()
