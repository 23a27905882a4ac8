"""Being told to stop, or to read the content again."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


def stop_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT from now on; the second one ends the process at once."""
    stop = asyncio.Event()

    def told() -> None:
        if stop.is_set():
            log.warning("told to stop again; what is in flight is left to the ledger")
            os._exit(1)  # as if the machine died, which the ledger is made for
        log.info("told to stop; what is in flight is finished first")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told)
    return stop


def on_reload_signal(reload: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run `reload` at each SIGHUP from now on."""
    running: set[asyncio.Task[object]] = set()  # the loop itself keeps no task alive

    def begin() -> None:
        task = asyncio.get_running_loop().create_task(reload())
        running.add(task)
        task.add_done_callback(running.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, begin)
