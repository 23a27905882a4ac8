"""Being told to stop, or to read the content again."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from weekbot.runtime.loop import now

log = logging.getLogger(__name__)

DUPLICATE_SIGNAL_SECONDS = 1.0  # supervisors, and `timeout`, deliver one signal twice within a moment
SHUTDOWN_TIMEOUT_SECONDS = 28  # twenty for posts and some for answers; supervisors often wait for thirty


def stop_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT from now on; another one, a second later or more, ends the process at once."""
    stop = asyncio.Event()
    since = 0.0

    def told() -> None:
        nonlocal since
        if stop.is_set():
            if now() - since >= DUPLICATE_SIGNAL_SECONDS:
                _end_at_once("told to stop again")
            return
        since = now()
        log.info("told to stop; what is in flight is finished first")
        stop.set()
        _after(SHUTDOWN_TIMEOUT_SECONDS, partial(_end_at_once, "it takes too long to stop"))

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told)
    return stop


def _end_at_once(why: str) -> None:
    """As if the machine died, which the ledger is made for."""
    log.warning("%s; what is in flight is left to the ledger", why)
    os._exit(1)


def _after(seconds: float, action: Callable[[], None]) -> None:
    """In a thread, as the event loop may be what hangs."""
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


def on_reload_signal(reload: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run `reload` at each SIGHUP from now on."""
    running: set[asyncio.Task[object]] = set()  # the loop itself keeps no task alive

    def begin() -> None:
        task = asyncio.get_running_loop().create_task(reload())
        running.add(task)
        task.add_done_callback(running.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, begin)
