"""A clock shared by the test, its Discord and the bots."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

POLL_SECONDS = 0.05  # a bot notices a jump after this many seconds at most


@dataclass(frozen=True)
class SharedClock:
    """A clock in a file, so that processes can share it. It is stopped until `start` is called."""

    path: Path

    @classmethod
    def stopped(cls, instant: datetime, path: Path) -> Self:
        clock = cls(path)
        clock._write(instant, None)
        return clock

    def start(self, instant: datetime) -> None:
        """Run from that instant."""
        self._write(instant, _real())

    def advance(self, **duration: float) -> None:
        """Jump ahead by a duration with the arguments of `timedelta`."""
        self.start(self.now() + timedelta(**duration))

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        shown, started = json.loads(self.path.read_text())
        elapsed = _real() - datetime.fromisoformat(started) if started else timedelta()
        return datetime.fromisoformat(shown) + elapsed

    async def sleep(self, duration: timedelta) -> None:
        """Return once the duration has passed on this clock."""
        end = self.now() + duration
        while self.now() < end:  # noqa: ASYNC110 - another process moves the clock
            await asyncio.sleep(POLL_SECONDS)

    def _write(self, shown: datetime, started: datetime | None) -> None:
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps([shown.isoformat(), started and started.isoformat()]))
        temporary.replace(self.path)


def _real() -> datetime:
    return datetime.now(UTC)
