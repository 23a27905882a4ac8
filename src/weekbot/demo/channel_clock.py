"""The simulated Discord's clock: the bot's fast time, which stands almost still while somebody acts."""

import time

from simcord._clock import Clock as SimulatedClock

from weekbot.runtime.clock import FastClock


class ChannelClock(SimulatedClock):
    """Runs at the speed of real time, and is moved on to the bot's time between actions.

    So posts stand a week apart, and yet no answer comes after the three seconds that Discord waits for one.
    """

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
        """It starts at nothing, as the base wants."""

    def advance(self, seconds: float) -> None:
        """Time goes on by itself here."""

    def catch_up(self) -> None:
        """Move on to the bot's time."""
        bots = (self._clock.now() - self._epoch).total_seconds()
        self._reached, self._since = max(bots, self.elapsed), time.perf_counter()
