"""Which of this process's shards are connected to the gateway."""

from collections.abc import Collection

from weekbot.bot.metrics_port import UsageMetrics


class Connections:
    def __init__(self, usage: UsageMetrics) -> None:
        self._usage = usage
        self._connected: set[int] = set()
        self._known: set[int] = set()

    def begun(self, shard_id: int, *, resumed: bool = False) -> None:
        if shard_id in self._known:
            self._usage.reconnected(resumed=resumed)
        self._known.add(shard_id)
        self._connected.add(shard_id)

    def ended(self, shard_id: int) -> None:
        self._connected.discard(shard_id)

    def missing(self, shard_ids: Collection[int]) -> list[int] | None:
        """Those of the shards that are not connected; None before the first one was."""
        if not self._known:
            return None
        return sorted(set(shard_ids) - self._connected)
