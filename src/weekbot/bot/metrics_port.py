"""The metrics of interactions and of the gateway."""

from typing import Protocol


class UsageMetrics(Protocol):
    def requested(self, status: int | None, paced: bool) -> None:
        """Count a request by its status, None without a response; only `paced` ones wait for the rate limiter."""

    def dropped(self, kind: str) -> None:
        """Count a gateway event that can't be parsed."""

    def looked_up(self, topic: str | None) -> None:
        """Count a lookup by the topic's slug; None if no topic was found."""

    def autocompleted(self, seconds: float) -> None:
        """Record the time between a member's input and the suggestions."""

    def reconnected(self, *, resumed: bool) -> None:
        """Count a shard's reconnection, with its last session or a new one."""
