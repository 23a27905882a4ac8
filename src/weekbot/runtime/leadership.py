"""What one of several processes may do: send, and answer the members of a shard."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol


class Leadership(Protocol):
    """What is this process's to do, at this very moment; `term` numbers the times that the sending has come to one."""

    @property
    def term(self) -> int: ...

    @property
    def obstacle(self) -> str | None:
        """A sentence on what an operator has to change before this process can send."""

    def is_leader(self) -> bool: ...

    def owns(self, shard_id: int) -> bool:
        """Whether the members of that shard are this process's to answer."""

    async def inherits(self, shard_id: int) -> bool:
        """Whether that becomes so while a member waits, as the process that answered them has just died."""

    def stand_for_election(self) -> None:
        """From now on this process can send."""

    def connected(self, shard_id: int) -> None:
        """From now on this process can answer the members of that shard."""

    def disconnected(self, shard_id: int) -> None: ...

    def elected(self) -> AsyncIterator[None]:
        """Comes each time when the sending has come to this process."""

    def on_wake(self, wake: Callable[[], None]) -> None:
        """What is called when there may be something to send at once."""


class SingleProcess:
    """Of the only process that there is."""

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
