"""Waiting for something to become true."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Changes:
    """Wakes all waiting tasks whenever something has changed."""

    timeout: float = 60.0  # machines are shared
    waiters: set[asyncio.Event] = field(default_factory=set)

    def notify(self) -> None:
        """Report a change."""
        for waiter in self.waiters:
            waiter.set()

    async def until(self, met: Callable[[], object], what: str) -> None:
        """Wait until a condition is met; it is checked after each change."""
        waiter = asyncio.Event()
        self.waiters.add(waiter)
        try:
            async with asyncio.timeout(self.timeout):
                while not met():
                    waiter.clear()
                    await waiter.wait()
        except TimeoutError:
            raise TimeoutError(f"waited {self.timeout:g} s in vain for {what}") from None
        finally:
            self.waiters.discard(waiter)
