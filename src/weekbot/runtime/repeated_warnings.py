"""Rate limit for warnings: if many deliveries fail for the same reason, one line a minute is logged."""

import asyncio
import logging
from contextvars import Context

INTERVAL_SECONDS = 60.0


class RepeatedWarnings:
    """Logs the first warning for a reason, then once a minute the number of further `events` (a phrase), if any."""

    def __init__(self, log: logging.Logger, events: str) -> None:
        self._log = log
        self._events = events
        self._suppressed: dict[str, int] = {}

    def warn(self, reason: str, message: str, *values: object) -> None:
        """Log or count the message. Needs a running event loop."""
        if reason in self._suppressed:
            self._suppressed[reason] += 1
            self._log.debug(message, *values)
        else:
            self._log.warning(message, *values)
            self._start(reason)

    def _start(self, reason: str) -> None:
        self._suppressed[reason] = 0
        # In a new context, because the log fields of the first message don't apply to the others.
        asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self._summarize, reason, context=Context())

    def _summarize(self, reason: str) -> None:
        if suppressed := self._suppressed.pop(reason):
            self._log.warning("in the last minute %d more %s: %s", suppressed, self._events, reason)
            self._start(reason)
