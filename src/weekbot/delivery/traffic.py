"""Whether requests get through to Discord: what a watchdog compares with the work that is due."""

import math
from datetime import timedelta

from weekbot.loop import now


class Traffic:
    """Of requests at the pace; answers to members and the gateway are not among them."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        """What kept the last request from getting through."""
        self._last_success = -math.inf
        self._begun = now()

    @property
    def silence(self) -> timedelta:
        """Since the last answer that was no refusal of all requests, or since the start."""
        return timedelta(seconds=now() - max(self._last_success, self._begun))

    def answered(self) -> None:
        """Discord answered, whatever it said to this request."""
        self.trouble, self._last_success = None, now()

    def failed(self, reason: str) -> None:
        self.trouble = reason
