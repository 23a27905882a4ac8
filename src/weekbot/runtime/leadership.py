"""What one of several processes may do: send, and answer the members of a shard."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol


class Duties(Protocol):
    """What is this process's to do, at this very moment; `term` numbers the times that the sending has come to one."""

    @property
    def term(self) -> int: ...

    @property
    def trouble(self) -> str | None:
        """A sentence on what an operator has to change before this process can send."""

    def sends(self) -> bool: ...

    def answers(self, shard_id: int) -> bool:
        """Whether the members of that shard are this process's to answer."""

    async def inherits(self, shard_id: int) -> bool:
        """Whether that becomes so while a member waits, as the process that answered them has just died."""

    def online(self) -> None:
        """From now on this process can send."""

    def connected(self, shard_id: int) -> None:
        """From now on this process can answer the members of that shard."""

    def disconnected(self, shard_id: int) -> None: ...

    def begun(self) -> AsyncIterator[None]:
        """Comes each time when the sending has come to this process."""

    def on_hurry(self, hurry: Callable[[], None]) -> None:
        """What is called when there may be something to send at once."""


class AllDuties:
    """Of the only process that there is."""

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
