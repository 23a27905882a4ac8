"""A time that runs many times as fast as the real one, for the test, its Discord and the bots alike.

It differs from `SharedClock` in that a bot's event loop runs by it: pauses, timeouts and deadlines pass as fast as
slots come. A jump is like a suspended machine: all that waits for an instant in between ends at once. While somebody
works, or waits for a processor, it runs no faster than the real time, so that a busy machine changes nothing.
"""

import asyncio
import mmap
import selectors
import struct
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

SPEED = 20
HEAD_START = 0.06  # seconds of real time for which it runs fast, unless it is hurried again
GLANCE = 0.05  # seconds of real time: so late is a loop at most to notice a jump
_STATE = struct.Struct("4d")


@dataclass(frozen=True)
class _State:
    """`shown` is what the time was at `began`, on the system's monotonic clock, which all processes share."""

    shown: float
    began: float
    speed: float
    machine_error: float

    @property
    def now(self) -> float:
        """It runs fast for a moment, and then like the real one; at a speed of 0 it stands still."""
        gone = time.monotonic() - self.began
        fast = min(gone, HEAD_START)
        return self.shown + fast * self.speed + (gone - fast) * min(self.speed, 1)


@dataclass(frozen=True)
class FastTime:
    """The time in a file; it stands still until it is started, and runs fast as long as somebody hurries it."""

    path: Path
    _memory: mmap.mmap = field(repr=False)

    @classmethod
    def at(cls, path: Path) -> Self:
        """The time that another process has made there."""
        with path.open("r+b") as file:
            return cls(path, mmap.mmap(file.fileno(), _STATE.size))

    @classmethod
    def standing_at(cls, instant: datetime, path: Path) -> Self:
        path.write_bytes(_STATE.pack(instant.timestamp(), time.monotonic(), 0, 0))
        return cls.at(path)

    def now(self) -> datetime:
        """The present instant in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def seconds(self) -> float:
        """Since 1970."""
        return self._read().now

    def machine_now(self) -> datetime:
        """What a bot's machine takes for the present instant."""
        state = self._read()
        return datetime.fromtimestamp(state.now + state.machine_error, UTC)

    def start(self, instant: datetime) -> None:
        """Run on from that instant."""
        self._write(shown=instant.timestamp(), speed=1)

    def let_pass(self, **duration: float) -> None:
        """Jump ahead; the duration is named like timedelta's."""
        self.start(self.now() + timedelta(**duration))

    def hurry(self, *, idle: bool) -> None:
        """Run fast for the next moment while everybody waits, and like the real time while somebody works."""
        self._write(speed=SPEED if idle else 1)

    def set_machine(self, error: timedelta) -> None:
        """Let the bots' machine have a clock that is so much ahead."""
        self._write(machine_error=error.total_seconds())

    def real(self, seconds: float | None) -> float:
        """The real seconds after which to look at the time again, when so many of its seconds are to pass."""
        return GLANCE if seconds is None else min(seconds / SPEED, GLANCE)

    def _read(self) -> _State:
        """What two readings agree on, as another process may be writing."""
        while (raw := self._memory[:]) != self._memory[:]:
            pass
        return _State(*_STATE.unpack(raw))

    def _write(self, **changed: float) -> None:
        state = self._read()
        known = {"shown": state.now, "speed": state.speed, "machine_error": state.machine_error} | changed
        self._memory[:] = _STATE.pack(known["shown"], time.monotonic(), known["speed"], known["machine_error"])


class _Selector(selectors.DefaultSelector):
    """Waits as long as the time says."""

    def __init__(self, real: Callable[[float | None], float]) -> None:
        super().__init__()
        self._real = real

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout if timeout == 0 else self._real(timeout))


class FastLoop(asyncio.SelectorEventLoop):
    """Its clock is the time."""

    def __init__(self, fast_time: FastTime) -> None:
        super().__init__(_Selector(fast_time.real))
        self._fast_time = fast_time

    def time(self) -> float:
        return self._fast_time.seconds()


@dataclass(frozen=True)
class MachineClock:
    """The clock of a bot's machine, which may be wrong; a bot waits by its loop's, which is not."""

    fast_time: FastTime

    def now(self) -> datetime:
        return self.fast_time.machine_now()

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())


def run(main: Coroutine[object, object, None], fast_time: FastTime) -> None:
    """Like `asyncio.run`, by that time."""
    with asyncio.Runner(loop_factory=lambda: FastLoop(fast_time)) as runner:
        runner.run(main)
