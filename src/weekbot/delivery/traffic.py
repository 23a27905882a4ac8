"""Tracks whether requests reach Discord, for the readiness check."""

import math
from datetime import timedelta

from weekbot.runtime.loop import now


class Traffic:
    """Counts rate-limited requests only, not answers to members or the gateway."""

    def __init__(self) -> None:
        self.trouble: str | None = None  # the reason why the last request failed; None if it was answered
        self._last_success = -math.inf
        self._begun = now()

    @property
    def silence(self) -> timedelta:
        """The time since the last answer, or since the start. A limit of all requests isn't an answer."""
        return timedelta(seconds=now() - max(self._last_success, self._begun))

    def answered(self) -> None:
        self.trouble, self._last_success = None, now()

    def failed(self, reason: str) -> None:
        self.trouble = reason
