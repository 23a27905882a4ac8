"""The event loop that the bot runs on, and its clock."""

import asyncio
import time
from collections.abc import Coroutine


class BoottimeEventLoop(asyncio.SelectorEventLoop):
    """Its clock also counts the time for which the machine is suspended, as leases in a database run on meanwhile."""

    def time(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def run(main: Coroutine[object, object, None]) -> None:
    """Like `asyncio.run`; systems other than Linux have their usual loop."""
    with asyncio.Runner(loop_factory=BoottimeEventLoop if hasattr(time, "CLOCK_BOOTTIME") else None) as runner:
        runner.run(main)


def now() -> float:
    """In seconds, on the running loop's clock, which nobody can put back."""
    return asyncio.get_running_loop().time()
