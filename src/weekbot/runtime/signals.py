"""Signal handlers: stop on SIGTERM and SIGINT, reload content on SIGHUP."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from weekbot.runtime.loop import now

log = logging.getLogger(__name__)

DUPLICATE_SIGNAL_SECONDS = 1.0  # supervisors, and `timeout`, send one signal twice within a moment
SHUTDOWN_TIMEOUT_SECONDS = 28  # 20 for posts, the rest for answers; many supervisors wait for 30


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; another one, at least a second later, exits at once."""
    stop = asyncio.Event()
    since = 0.0

    def on_signal() -> None:
        nonlocal since
        if stop.is_set():
            if now() - since >= DUPLICATE_SIGNAL_SECONDS:
                _exit_at_once("a second signal to stop was received")
            return
        since = now()
        log.info("stopping; requests in flight are finished first")
        stop.set()
        _start_timer(SHUTDOWN_TIMEOUT_SECONDS, lambda: _exit_at_once("stopping takes too long"))

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop


def _exit_at_once(reason: str) -> None:
    """Exit as if the machine had crashed, from which the ledger recovers."""
    log.warning("%s; exiting at once, and the next start recovers what is in flight", reason)
    os._exit(1)


def _start_timer(seconds: float, action: Callable[[], None]) -> None:
    """Run the action in a thread, because the event loop may hang."""
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


def on_reload_signal(reload: Callable[[], Coroutine[Any, Any, object]]) -> None:
    running: set[asyncio.Task[object]] = set()  # the loop itself keeps no task alive

    def start() -> None:
        task = asyncio.get_running_loop().create_task(reload())
        running.add(task)
        task.add_done_callback(running.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, start)
