"""This process's shards that are connected to the gateway."""

from collections.abc import Collection

from weekbot.bot.metrics_port import UsageMetrics


class Connections:
    def __init__(self, metrics: UsageMetrics) -> None:
        self._metrics = metrics
        self._connected: set[int] = set()
        self._seen: set[int] = set()

    def add(self, shard_id: int, *, resumed: bool = False) -> None:
        if shard_id in self._seen:
            self._metrics.reconnected(resumed=resumed)
        self._seen.add(shard_id)
        self._connected.add(shard_id)

    def remove(self, shard_id: int) -> None:
        self._connected.discard(shard_id)

    def missing(self, shard_ids: Collection[int]) -> list[int] | None:
        """Return the given shards that aren't connected; None before the first one was."""
        return sorted(set(shard_ids) - self._connected) if self._seen else None
