"""What one of several processes may do: lead, which is to send, and answer members on the shards that it owns."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol


class Duties(Protocol):
    """The duties of this process; `term` counts the times that a process became the leader."""

    @property
    def term(self) -> int: ...

    @property
    def trouble(self) -> str | None:
        """A sentence that tells operators what keeps this process from becoming the leader."""

    def sends(self) -> bool: ...

    def answers(self, shard_id: int) -> bool: ...

    async def inherits(self, shard_id: int) -> bool:
        """Wait a moment for a shard whose owner may have just died; return whether this process owns it now."""

    def online(self) -> None:
        """Stand for election."""

    def connected(self, shard_id: int) -> None: ...

    def disconnected(self, shard_id: int) -> None: ...

    def begun(self) -> AsyncIterator[None]:
        """Yield whenever this process has become the leader."""

    def on_hurry(self, hurry: Callable[[], None]) -> None:
        """Set the function that is called when something may be due at once."""


class AllDuties:
    """The duties of a single process, which is always the leader and owns all shards."""

    term = 1
    trouble: str | None = None

    def sends(self) -> bool:
        return True

    def answers(self, _: int) -> bool:
        return True

    async def inherits(self, _: int) -> bool:
        return True

    def online(self) -> None: ...

    def connected(self, shard_id: int) -> None: ...

    def disconnected(self, shard_id: int) -> None: ...

    def on_hurry(self, hurry: Callable[[], None]) -> None: ...

    async def begun(self) -> AsyncIterator[None]:
        yield
        await asyncio.Event().wait()
