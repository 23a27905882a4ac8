"""Discord's time, by which slots are due and attempts grow old: the machine's clock may be wrong, or set meanwhile."""

import logging
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from weekbot.runtime.clock import Clock
from weekbot.runtime.loop import now as loop_now

log = logging.getLogger(__name__)

AGREES_SECONDS = 5.0  # a `Date` has whole seconds, and takes a while to arrive, so it is behind: no post comes early


class ServerClock:
    """The machine's clock as long as it agrees with Discord's, else Discord's, carried on by the event loop's clock.

    An answer's `Date` may be wrong as well, as a proxy's. Of three that know the time, two decide: the machine's clock,
    the time that was believed before, and the answer. The first answer is believed.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._start: float | None = None  # the believed time when the loop's clock began, in seconds since 1970
        self._known_error = 0.0

    def now(self) -> datetime:
        machine = self._machine.now()
        if self._start is None or abs(self._error(machine)) <= AGREES_SECONDS:
            return machine
        return datetime.fromtimestamp(self._believed, UTC)

    async def sleep(self, duration: timedelta) -> None:
        await self._machine.sleep(duration)

    @property
    def error(self) -> timedelta:
        """How much the machine's clock is ahead of Discord's; zero if they agree."""
        error = self._error(self._machine.now()) if self._start is not None else 0.0
        return timedelta(seconds=error if abs(error) > AGREES_SECONDS else 0.0)

    @property
    def in_doubt(self) -> bool:
        """Whether the machine's clock disagrees, or has been set since the last answer: the next one decides.

        As long as it disagrees, as the answer that was believed may have been the wrong one.
        """
        if self._start is None:
            return False
        error = self._error(self._machine.now())
        return max(abs(error), abs(error - self._known_error)) > AGREES_SECONDS

    def observe(self, date: str | None) -> None:
        """Take note of an answer's `Date`."""
        heard = _seconds(date)
        if heard is None:
            return
        machine = self._machine.now().timestamp()
        if self._start is None or any(abs(heard - other) <= AGREES_SECONDS for other in (self._believed, machine)):
            self._start = heard - loop_now()
        self._note_error(machine - self._believed)

    def _note_error(self, error: float) -> None:
        wrong = error if abs(error) > AGREES_SECONDS else 0.0
        if abs(wrong - self._known_error) > AGREES_SECONDS:
            self._known_error = wrong
            if wrong:
                log.warning("this machine's clock is %+.0f s off; Discord's time counts. Set the clock.", wrong)
            else:
                log.info("this machine's clock agrees with Discord's again")

    @property
    def _believed(self) -> float:
        return (self._start or 0.0) + loop_now()

    def _error(self, machine: datetime) -> float:
        return machine.timestamp() - self._believed


def _seconds(date: str | None) -> float | None:
    """Since 1970; None unless it is an HTTP date."""
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return None
