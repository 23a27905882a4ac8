"""`weekbot run` with a fast clock: `python -m chaos.fast_bot TIME`."""

import logging
import sys
from pathlib import Path
from typing import Any

import discord.state
from discord.gateway import KeepAliveHandler

from weekbot import run
from weekbot.runtime import log
from weekbot.settings import load_settings

from . import fast_time
from .fast_time import SPEED, FastTime, MachineClock


class Heartbeats(KeepAliveHandler):
    """Scales the heartbeat timeout to real time, which discord.py's thread uses."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.heartbeat_timeout /= SPEED


class TimestampedRecord(logging.LogRecord):
    """Starts each message with the fast time."""

    time: FastTime

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        return f"{self.time.now():%m-%d %H:%M:%S} {super().getMessage()}"


def main(path: str) -> None:
    """Run until SIGTERM."""
    discord.gateway.KeepAliveHandler = Heartbeats  # type: ignore[misc]
    settings, time = load_settings(), FastTime.at(Path(path))
    TimestampedRecord.time = time
    logging.setLogRecordFactory(TimestampedRecord)
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    fast_time.run(run.run(settings, MachineClock(time)), time)


if __name__ == "__main__":
    main(sys.argv[1])
