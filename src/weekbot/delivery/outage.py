"""Detects outages: while no post succeeds, Discord is only probed."""

from datetime import UTC, datetime, timedelta

from weekbot.runtime.clock import Clock

FAILURES = 20  # in a row
QUIET = timedelta(seconds=20)  # since the last post that succeeded
BETWEEN_PROBES = timedelta(seconds=5)
SERVERS_FAIL_FOR = timedelta(seconds=10)  # after a failure; meanwhile other servers go first
MAX_SERVERS = 1000


class Outage:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._reason = ""
        self._last_success = self._last_probe = datetime.min.replace(tzinfo=UTC)
        self._failed: dict[int, datetime] = {}

    @property
    def is_active(self) -> bool:
        return self._failures >= FAILURES and self._is_quiet()

    @property
    def trouble(self) -> str | None:
        """During an outage, the number of posts that failed in a row, and the last one's reason."""
        return f"the last {self._failures} posts failed ({self._reason})" if self.is_active else None

    @property
    def failing_servers(self) -> list[int]:
        """The ids of servers in which a post failed recently and none has succeeded since."""
        now = self._clock.now()
        self._failed = {id_: at for id_, at in self._failed.items() if timedelta() <= now - at < SERVERS_FAIL_FOR}
        return list(self._failed)[-MAX_SERVERS:]

    def record_failure(self, guild_id: int, reason: str) -> None:
        self._failures += 1
        self._reason = reason
        self._failed[guild_id] = self._clock.now()

    def record_success(self, guild_id: int) -> bool:
        """Record that a post succeeded. Return whether that ends a period in which all failed."""
        self._failed.pop(guild_id, None)
        ended = self._failures > 0 and self._is_quiet()
        self._failures, self._last_success = 0, self._clock.now()
        return ended

    def begin_probe(self) -> bool:
        """Return whether the next probe is due; if so, it begins now."""
        if timedelta() <= self._clock.now() - self._last_probe < BETWEEN_PROBES:
            return False
        self._last_probe = self._clock.now()
        return True

    def _is_quiet(self) -> bool:
        return self._clock.now() - self._last_success > QUIET
