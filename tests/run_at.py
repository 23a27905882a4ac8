"""`weekbot run` with a clock that is ahead of the system's: `python run_at.py SECONDS`."""

import asyncio
import sys
from datetime import datetime, timedelta

from weekbot import log
from weekbot.clock import SystemClock
from weekbot.run import run
from weekbot.settings import load_settings


class ShiftedClock(SystemClock):
    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return super().now() + self._ahead


if __name__ == "__main__":
    log.configure("INFO", "console")
    asyncio.run(run(load_settings(), ShiftedClock(timedelta(seconds=float(sys.argv[1])))))
