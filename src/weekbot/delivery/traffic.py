"""Whether requests get through to Discord. A watchdog compares this with the work that is due."""

import math
from datetime import timedelta

from weekbot.runtime.loop import now


class Traffic:
    """Counts rate-limited requests only, not answers to members or the gateway."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        """Why the last request failed, None if it got through."""
        self._last_success = -math.inf
        self._begun = now()

    @property
    def silence(self) -> timedelta:
        """The time since the last answer, or since the start. A limit of all requests doesn't count as one."""
        return timedelta(seconds=now() - max(self._last_success, self._begun))

    def answered(self) -> None:
        """Discord answered, whatever it said to this request."""
        self.trouble, self._last_success = None, now()

    def failed(self, reason: str) -> None:
        self.trouble = reason
