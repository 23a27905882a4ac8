"""Being told to stop, or to read the content again."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any


def stop_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT from now on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def on_reload_signal(reload: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run `reload` at each SIGHUP from now on."""
    running: set[asyncio.Task[object]] = set()  # the loop itself keeps no task alive

    def begin() -> None:
        task = asyncio.get_running_loop().create_task(reload())
        running.add(task)
        task.add_done_callback(running.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, begin)
