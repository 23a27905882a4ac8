"""What one of several processes may do: the leader sends, and the owner of a shard answers its members."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol


class Leadership(Protocol):
    """What this process may do now; `term` counts the elections of a leader."""

    @property
    def term(self) -> int: ...

    @property
    def obstacle(self) -> str | None:
        """A sentence that tells operators what keeps this process from becoming the leader."""

    def is_leader(self) -> bool: ...
    def owns(self, shard_id: int) -> bool: ...

    async def inherits(self, shard_id: int) -> bool:
        """Wait a moment for a shard whose owner may have just died; return whether this process owns it now."""

    def stand_for_election(self) -> None: ...
    def connected(self, shard_id: int) -> None: ...
    def disconnected(self, shard_id: int) -> None: ...

    def elected(self) -> AsyncIterator[None]:
        """Yield whenever this process has become the leader."""

    def on_wake(self, wake: Callable[[], None]) -> None:
        """Set the function that is called when something may be due at once."""


class SingleProcess:
    """A single process, which is always the leader and owns all shards."""

    term = 1
    obstacle: str | None = None

    def is_leader(self) -> bool:
        return True

    def owns(self, _: int) -> bool:
        return True

    async def inherits(self, _: int) -> bool:
        return True

    def stand_for_election(self) -> None: ...
    def connected(self, shard_id: int) -> None: ...
    def disconnected(self, shard_id: int) -> None: ...
    def on_wake(self, wake: Callable[[], None]) -> None: ...

    async def elected(self) -> AsyncIterator[None]:
        yield
        await asyncio.Event().wait()
