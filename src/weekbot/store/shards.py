"""Shards: by which servers are shared among processes."""

from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, true


@dataclass(frozen=True)
class Shards:
    """Those of `ids` among `count`; Discord gives each server the shard that its id says."""

    ids: frozenset[int] = frozenset({0})
    count: int = 1

    def of(self, guild_id: int) -> int:
        return (guild_id >> 22) % self.count

    def hold(self, guild_id: Column[int]) -> ColumnElement[bool]:
        """Whether the server of that id is on one of them."""
        if len(self.ids) == self.count:
            return true()
        # PostgreSQL has no shift of a bigint by a bigint, which is what a parameter is.
        return (guild_id // (1 << 22) % self.count).in_(self.ids)


ALL = Shards()
