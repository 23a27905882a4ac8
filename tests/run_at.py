"""`weekbot run` with a clock that is ahead of the system's: `python run_at.py SECONDS [SECONDS-BETWEEN-TICKS]`."""

import sys
from datetime import datetime, timedelta
from functools import partial, partialmethod

import discord.state

from weekbot import run
from weekbot.runtime import log, loop
from weekbot.runtime.clock import SystemClock
from weekbot.runtime.errors import WeekbotError
from weekbot.scheduler import delivering
from weekbot.settings import load_settings

GUILD_READY_SECONDS = 0.25  # discord.py's 2 s after the last guild are too long for short runs


class ShiftedClock(SystemClock):
    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return super().now() + self._ahead


if __name__ == "__main__":
    connecting = discord.state.ConnectionState
    connecting.__init__ = partialmethod(connecting.__init__, guild_ready_timeout=GUILD_READY_SECONDS)  # type: ignore
    settings = load_settings()
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    ahead, *ticks = (timedelta(seconds=float(seconds)) for seconds in sys.argv[1:])
    if ticks:
        run.delivering = partial(delivering, every=ticks[0])  # type: ignore[attr-defined]
    try:
        loop.run(run.run(settings, ShiftedClock(ahead)))
    except WeekbotError as error:
        sys.exit(str(error))
