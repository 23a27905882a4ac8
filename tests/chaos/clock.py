"""One time for all: for the test, its Discord and the bots that come and go."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

GLANCE = 0.05  # seconds: so late is a bot at most to notice a jump


@dataclass(frozen=True)
class SharedClock:
    """A clock that is kept in a file, so that processes share it. It stands still until it is started."""

    path: Path

    @classmethod
    def standing_at(cls, instant: datetime, path: Path) -> Self:
        clock = cls(path)
        clock._write(instant, None)
        return clock

    def start(self, instant: datetime) -> None:
        """Run on from that instant."""
        self._write(instant, _real())

    def let_pass(self, **duration: float) -> None:
        """Jump ahead; the duration is named like timedelta's."""
        self.start(self.now() + timedelta(**duration))

    def now(self) -> datetime:
        """The present instant in UTC."""
        shown, started = json.loads(self.path.read_text())
        gone = _real() - datetime.fromisoformat(started) if started else timedelta()
        return datetime.fromisoformat(shown) + gone

    async def sleep(self, duration: timedelta) -> None:
        """Return once the duration has passed on this clock."""
        end = self.now() + duration
        while self.now() < end:  # noqa: ASYNC110 - another process moves the clock
            await asyncio.sleep(GLANCE)

    def _write(self, shown: datetime, started: datetime | None) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps([shown.isoformat(), started and started.isoformat()]))
        fresh.replace(self.path)


def _real() -> datetime:
    return datetime.now(UTC)
