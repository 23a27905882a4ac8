"""`weekbot run` by a shared clock: `python -m chaos.bot CLOCK`."""

import asyncio
import sys
from datetime import timedelta
from functools import partial, partialmethod
from pathlib import Path

import discord.state

from weekbot import log, run
from weekbot.app import delivering
from weekbot.settings import load_settings

from .clock import SharedClock

# discord.py waits 2 s after the last guild, which is most of a short life.
GUILD_READY_SECONDS = 0.25
# Of real time, in which the shared clock may have made a jump.
TICK = timedelta(seconds=1)


def main(clock: str) -> None:
    """Run until SIGTERM."""
    connecting = discord.state.ConnectionState
    connecting.__init__ = partialmethod(connecting.__init__, guild_ready_timeout=GUILD_READY_SECONDS)  # type: ignore
    run.delivering = partial(delivering, every=TICK)  # type: ignore[attr-defined]
    log.configure("INFO", "console")
    asyncio.run(run.run(load_settings(), SharedClock(Path(clock))))


if __name__ == "__main__":
    main(sys.argv[1])
