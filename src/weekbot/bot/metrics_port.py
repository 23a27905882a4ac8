"""What is counted of what members and the gateway do."""

from typing import Protocol


class UsageMetrics(Protocol):
    def requested(self, status: int | None, paced: bool) -> None:
        """Discord answered a request, or not at all; answers to members are not paced."""

    def dropped(self, kind: str) -> None:
        """An event of the gateway could not be read."""

    def looked_up(self, topic: str | None) -> None:
        """A member looked for a topic by name: its slug, or None where there is none."""

    def autocompleted(self, seconds: float) -> None:
        """Choices were offered, so long after it was heard what a member typed."""

    def reconnected(self, *, resumed: bool) -> None:
        """A shard is connected again, with its last session or a new one."""
