"""`weekbot run` by a fast time: `python -m chaos.fast_bot TIME`."""

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
    """Goes by the real time, as discord.py's thread does, so that a dead gateway is found as soon."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.heartbeat_timeout /= SPEED


class Stamped(logging.LogRecord):
    """Says first what the time was."""

    time: FastTime

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        return f"{self.time.now():%m-%d %H:%M:%S} {super().getMessage()}"


def main(path: str) -> None:
    """Run until SIGTERM."""
    discord.gateway.KeepAliveHandler = Heartbeats  # type: ignore[misc]
    settings, time = load_settings(), FastTime.at(Path(path))
    Stamped.time = time
    logging.setLogRecordFactory(Stamped)
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    fast_time.run(run.run(settings, MachineClock(time)), time)


if __name__ == "__main__":
    main(sys.argv[1])
