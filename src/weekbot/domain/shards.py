"""Shards: Discord's partition of servers, by which processes share them."""

from dataclasses import dataclass

TIMESTAMP_FROM = 1 << 22
"""A Discord id divided by this is its time of creation."""


@dataclass(frozen=True)
class Shards:
    """A set of shards among `count`. Discord assigns servers to shards by their ids."""

    ids: frozenset[int] = frozenset({0})
    count: int = 1

    def of(self, guild_id: int) -> int:
        return guild_id // TIMESTAMP_FROM % self.count

    def __contains__(self, guild_id: int) -> bool:
        """Return whether the server with that id is on one of the shards."""
        return self.of(guild_id) in self.ids


ALL = Shards()
