"""An outage: while no post succeeds any more, Discord is only probed. In a partial one, those of some servers fail."""

from datetime import UTC, datetime, timedelta

from weekbot.clock import Clock

MANY = 20  # failures one after another
QUIET = timedelta(seconds=20)  # without a post that succeeded
BETWEEN_PROBES = timedelta(seconds=5)
SERVERS_FAIL_FOR = timedelta(seconds=10)  # after a failure: so long others come first
MOST_SERVERS = 1000


class Outage:
    """Counts how attempts at posts end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._last_success = self._last_probe = datetime.min.replace(tzinfo=UTC)
        self._failed: dict[int, datetime] = {}

    @property
    def lasts(self) -> bool:
        return self._failures >= MANY and self._is_quiet()

    @property
    def servers(self) -> list[int]:
        """The ids of servers in which a post failed a moment ago, and none succeeded since."""
        now = self._clock.now()
        self._failed = {id_: at for id_, at in self._failed.items() if timedelta() <= now - at < SERVERS_FAIL_FOR}
        return list(self._failed)[-MOST_SERVERS:]

    def failed(self, guild_id: int) -> None:
        """Discord did not take a post that it may take later."""
        self._failures += 1
        self._failed[guild_id] = self._clock.now()

    def succeeded(self, guild_id: int) -> bool:
        """Discord took a post; whether that ends a time in which it took none."""
        self._failed.pop(guild_id, None)
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
