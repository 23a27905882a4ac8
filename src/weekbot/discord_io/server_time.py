"""Discord's time, which decides when slots are due and how old attempts are: the machine's clock may be wrong."""

import logging
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from weekbot.runtime.clock import Clock
from weekbot.runtime.loop import now as loop_now

log = logging.getLogger(__name__)

# A `Date` header is always a little behind, as it has whole seconds and takes a while to arrive: no post is early.
TOLERANCE_SECONDS = 5.0


class ServerClock:
    """The machine's clock while it agrees with Discord's, otherwise Discord's, extrapolated with the loop's clock.

    As a proxy's `Date` may be wrong, two of three decide: the machine's clock, the estimate of Discord's, the header.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._offset: float | None = None  # from the loop's clock to the estimated time, in seconds since 1970
        self._known_error = 0.0

    def now(self) -> datetime:
        machine = self._machine.now()
        if abs(self._error(machine)) <= TOLERANCE_SECONDS:
            return machine
        return datetime.fromtimestamp(self._estimate, UTC)

    async def sleep(self, duration: timedelta) -> None:
        await self._machine.sleep(duration)

    @property
    def error(self) -> timedelta:
        """How far the machine's clock is ahead of Discord's; zero if they agree."""
        return timedelta(seconds=_significant(self._error(self._machine.now())))

    @property
    def in_doubt(self) -> bool:
        """Whether the next response has to decide: the machine's clock disagrees, or was set since the last one."""
        error = self._error(self._machine.now())
        return max(abs(error), abs(error - self._known_error)) > TOLERANCE_SECONDS

    def observe(self, date: str | None) -> None:
        try:
            time = parsedate_to_datetime(date or "").timestamp()
        except (ValueError, OverflowError):
            return  # it isn't an HTTP date
        machine = self._machine.now().timestamp()
        if self._offset is None or any(abs(time - other) <= TOLERANCE_SECONDS for other in (self._estimate, machine)):
            self._offset = time - loop_now()
        self._log_change(_significant(machine - self._estimate))

    def _log_change(self, error: float) -> None:
        if abs(error - self._known_error) <= TOLERANCE_SECONDS:
            return
        self._known_error = error
        if error:
            log.warning("this machine's clock is off by %+.0f s; using Discord's time. Set the clock.", error)
        else:
            log.info("this machine's clock agrees with Discord's again")

    @property
    def _estimate(self) -> float:
        return (self._offset or 0.0) + loop_now()

    def _error(self, machine: datetime) -> float:
        return 0.0 if self._offset is None else machine.timestamp() - self._estimate


def _significant(error: float) -> float:
    return error if abs(error) > TOLERANCE_SECONDS else 0.0
