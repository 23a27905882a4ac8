"""Limits repeated warnings: if many deliveries fail for the same reason, the log has one line a minute."""

import asyncio
import logging
from contextvars import Context

INTERVAL_SECONDS = 60.0


class RepeatedWarnings:
    """Logs the first warning with a given reason in full, then once a minute the number of further ones, if any.

    `what` describes the further ones, in the plural. At the level `DEBUG` each of them is logged.
    """

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._more: dict[str, int] = {}

    def warn(self, reason: str, message: str, *values: object) -> None:
        """Log this message, or count it if one with the same reason was logged lately. Needs a running event loop."""
        if reason in self._more:
            self._more[reason] += 1
            self._log.debug(message, *values)
        else:
            self._log.warning(message, *values)
            self._begin(reason)

    def _begin(self, reason: str) -> None:
        self._more[reason] = 0
        # In a new context, because the log fields of the first message don't apply to the others.
        asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self._end, reason, context=Context())

    def _end(self, reason: str) -> None:
        if more := self._more.pop(reason):
            self._log.warning("in the last minute %d more %s: %s", more, self._what, reason)
            self._begin(reason)
