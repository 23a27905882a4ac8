"""An outage: no post succeeds any more. Then Discord is only probed, until one does."""

from datetime import UTC, datetime, timedelta

from weekbot.clock import Clock

MANY = 20  # failures one after another
QUIET = timedelta(seconds=20)  # without a post that succeeded
BETWEEN_PROBES = timedelta(seconds=5)


class Outage:
    """Counts how attempts at posts end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._last_success = self._last_probe = datetime.min.replace(tzinfo=UTC)

    @property
    def lasts(self) -> bool:
        return self._failures >= MANY and self._is_quiet()

    def failed(self) -> None:
        """Discord did not take a post that it may take later."""
        self._failures += 1

    def succeeded(self) -> bool:
        """Discord took a post; whether that ends a time in which it took none."""
        ended = self._failures > 0 and self._is_quiet()
        self._failures, self._last_success = 0, self._clock.now()
        return ended

    def probe(self) -> bool:
        """Whether it is time for a single post to be tried."""
        if timedelta() <= self._clock.now() - self._last_probe < BETWEEN_PROBES:
            return False
        self._last_probe = self._clock.now()
        return True

    def _is_quiet(self) -> bool:
        return self._clock.now() - self._last_success > QUIET
