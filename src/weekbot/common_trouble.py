"""One line a minute in the log for trouble that many deliveries have in common, instead of a line each."""

import asyncio
import logging
from contextvars import Context

EACH_SECONDS = 60.0


class CommonTrouble:
    """The first of a kind is logged as it is; how many more there were follows each minute, as long as there are any.

    `what` names the others in the plural. With the level `DEBUG` the log has each of them.
    """

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._more: dict[str, int] = {}

    def warn(self, reason: str, message: str, *values: object) -> None:
        """Log this message, whose reason others may have, too. Needs a running event loop."""
        if reason in self._more:
            self._more[reason] += 1
            self._log.debug(message, *values)
        else:
            self._log.warning(message, *values)
            self._begin(reason)

    def _begin(self, reason: str) -> None:
        self._more[reason] = 0
        # In a context of its own: what the first message was about is not what the others are about.
        asyncio.get_running_loop().call_later(EACH_SECONDS, self._end, reason, context=Context())

    def _end(self, reason: str) -> None:
        if more := self._more.pop(reason):
            self._log.warning("in the last minute %d more %s: %s", more, self._what, reason)
            self._begin(reason)
