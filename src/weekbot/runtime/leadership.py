"""Leadership and shard ownership: how several processes share one bot's work."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol


class Leadership(Protocol):
    """One process at a time is the leader, which sends posts.

    `term` counts the elections. `obstacle` is a sentence on what keeps this process from becoming the leader.
    """

    @property
    def term(self) -> int: ...
    @property
    def obstacle(self) -> str | None: ...
    def is_leader(self) -> bool: ...
    def stand_for_election(self) -> None: ...

    def elected(self) -> AsyncIterator[None]:
        """Yield each time this process becomes the leader."""

    def on_wake(self, wake: Callable[[], None]) -> None:
        """Set the function to call when the leader may have something to send at once."""


class ShardOwnership(Protocol):
    """One process at a time owns a shard: it answers the members of the shard's servers."""

    def owns(self, shard_id: int) -> bool: ...
    def disconnected(self, shard_id: int) -> None: ...

    async def inherits(self, shard_id: int) -> bool:
        """Return whether this process owns the shard, or gets it in time to answer, as when its owner has just died."""

    def connected(self, shard_id: int) -> None:
        """Ask for the shard: this process can answer its members from now on."""


class ClusterNode(Leadership, ShardOwnership, Protocol):
    """A process that can become the leader and can own shards."""


class SingleProcess:
    """The node of a cluster that has no other."""

    term = 1
    obstacle: str | None = None

    def stand_for_election(self) -> None: ...
    def on_wake(self, wake: Callable[[], None]) -> None: ...
    def connected(self, shard_id: int) -> None: ...
    def disconnected(self, shard_id: int) -> None: ...

    def is_leader(self) -> bool:
        return True

    async def elected(self) -> AsyncIterator[None]:
        yield
        await asyncio.Event().wait()

    def owns(self, _: int) -> bool:
        return True

    async def inherits(self, _: int) -> bool:
        return True
