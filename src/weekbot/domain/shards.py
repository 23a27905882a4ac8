"""Shards: by which servers are shared among processes."""

from dataclasses import dataclass

TIMESTAMP_FROM = 1 << 22
"""What is above this in an id of Discord's is when it was made."""


@dataclass(frozen=True)
class Shards:
    """Those of `ids` among `count`; Discord gives each server the shard that its id says."""

    ids: frozenset[int] = frozenset({0})
    count: int = 1

    def of(self, guild_id: int) -> int:
        return guild_id // TIMESTAMP_FROM % self.count

    def __contains__(self, guild_id: int) -> bool:
        """Whether the server of that id is on one of them."""
        return self.of(guild_id) in self.ids


ALL = Shards()
