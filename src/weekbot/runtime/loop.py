"""The bot's event loop and its clock."""

import asyncio
import time
from collections.abc import Coroutine


class BoottimeEventLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock includes the time that the machine is suspended, because database leases go on then."""

    def time(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def run(main: Coroutine[object, object, None]) -> None:
    """Run like `asyncio.run`, on a `BoottimeEventLoop` if the system has such a clock (Linux)."""
    with asyncio.Runner(loop_factory=BoottimeEventLoop if hasattr(time, "CLOCK_BOOTTIME") else None) as runner:
        runner.run(main)


def now() -> float:
    """Return the running loop's monotonic time in seconds."""
    return asyncio.get_running_loop().time()
