"""`weekbot run` with a shared clock: `python -m chaos.bot CLOCK [HEARTBEAT-SECONDS]`."""

import sys
from datetime import timedelta
from functools import partial, partialmethod
from pathlib import Path

import discord.state

from weekbot import run
from weekbot.discord_io.gateway import session_record, shard_runner
from weekbot.runtime import log, loop
from weekbot.scheduler import delivering
from weekbot.settings import load_settings

from .clock import SharedClock

# discord.py waits 2 s after the last guild, which is too long for a process that lives only seconds.
GUILD_READY_SECONDS = 0.25
# In real time; the shared clock may have jumped meanwhile.
TICK = timedelta(seconds=1)


def main(clock: str, heartbeat_seconds: float = 60) -> None:
    """Run until SIGTERM; a gateway that is silent for `heartbeat_seconds` counts as disconnected."""
    connecting = discord.state.ConnectionState
    shorter = {"guild_ready_timeout": GUILD_READY_SECONDS, "heartbeat_timeout": heartbeat_seconds}
    connecting.__init__ = partialmethod(connecting.__init__, **shorter)  # type: ignore
    shard_runner.IDENTIFY_SECONDS = 0
    session_record.FREE_FAILURES = sys.maxsize  # it is killed repeatedly
    run.delivering = partial(delivering, every=TICK)  # type: ignore[attr-defined]
    settings = load_settings()
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    loop.run(run.run(settings, SharedClock(Path(clock))))


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:]))
