"""Detects outages. While no post succeeds, Discord is only probed; servers whose posts fail are named."""

from datetime import UTC, datetime, timedelta

from weekbot.runtime.clock import Clock

MANY = 20  # consecutive failures
QUIET = timedelta(seconds=20)  # since the last post that succeeded
BETWEEN_PROBES = timedelta(seconds=5)
SERVERS_FAIL_FOR = timedelta(seconds=10)  # after a failure; meanwhile other servers go first
MOST_SERVERS = 1000


class Outage:
    """Counts failed and successful posts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._reason = ""
        self._last_success = self._last_probe = datetime.min.replace(tzinfo=UTC)
        self._failed: dict[int, datetime] = {}

    @property
    def lasts(self) -> bool:
        return self._failures >= MANY and self._is_quiet()

    @property
    def trouble(self) -> str | None:
        """During an outage, the number of posts that failed in a row, and the last one's reason."""
        return f"the last {self._failures} posts failed ({self._reason})" if self.lasts else None

    @property
    def servers(self) -> list[int]:
        """The ids of servers in which a post failed recently and none has succeeded since."""
        now = self._clock.now()
        self._failed = {id_: at for id_, at in self._failed.items() if timedelta() <= now - at < SERVERS_FAIL_FOR}
        return list(self._failed)[-MOST_SERVERS:]

    def failed(self, guild_id: int, reason: str) -> None:
        """Records that a post failed and will be retried."""
        self._failures += 1
        self._reason = reason
        self._failed[guild_id] = self._clock.now()

    def succeeded(self, guild_id: int) -> bool:
        """Records that a post succeeded. Returns whether that ends a period in which all failed."""
        self._failed.pop(guild_id, None)
        ended = self._failures > 0 and self._is_quiet()
        self._failures, self._last_success = 0, self._clock.now()
        return ended

    def probe(self) -> bool:
        """Whether the next probe is due."""
        if timedelta() <= self._clock.now() - self._last_probe < BETWEEN_PROBES:
            return False
        self._last_probe = self._clock.now()
        return True

    def _is_quiet(self) -> bool:
        return self._clock.now() - self._last_success > QUIET
