"""A clock that runs many times faster than real time, shared by the test, its Discord and the bots.

Unlike with `SharedClock`, a bot's event loop uses it: pauses, timeouts and deadlines pass as fast as
slots. A jump is like a suspended machine: all timers up to the new instant expire at once. While a process
works or waits for a processor, the clock runs in real time, so that a busy machine changes nothing.
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
FAST_SECONDS = 0.06  # seconds of real time for which it runs fast, unless its speed is updated
POLL_SECONDS = 0.05  # a loop notices a jump after this many seconds of real time at most
_STATE = struct.Struct("4d")


@dataclass(frozen=True)
class _State:
    """`shown` was the time at `began`, on the system's monotonic clock, which all processes share."""

    shown: float
    began: float
    speed: float
    machine_error: float

    @property
    def now(self) -> float:
        """Return the time: it runs fast for a moment, then in real time; at a speed of 0 it is stopped."""
        elapsed = time.monotonic() - self.began
        fast = min(elapsed, FAST_SECONDS)
        return self.shown + fast * self.speed + (elapsed - fast) * min(self.speed, 1)


@dataclass(frozen=True)
class FastTime:
    """A clock in a file; it is stopped until `start` is called, and fast while `update_speed` is called regularly."""

    path: Path
    _memory: mmap.mmap = field(repr=False)

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open the clock that another process created there."""
        with path.open("r+b") as file:
            return cls(path, mmap.mmap(file.fileno(), _STATE.size))

    @classmethod
    def stopped(cls, instant: datetime, path: Path) -> Self:
        path.write_bytes(_STATE.pack(instant.timestamp(), time.monotonic(), 0, 0))
        return cls.at(path)

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def seconds(self) -> float:
        """Return the seconds since 1970."""
        return self._read().now

    def machine_now(self) -> datetime:
        """Return the current instant according to the bots' machine."""
        state = self._read()
        return datetime.fromtimestamp(state.now + state.machine_error, UTC)

    def start(self, instant: datetime) -> None:
        """Run from that instant."""
        self._write(shown=instant.timestamp(), speed=1)

    def advance(self, **duration: float) -> None:
        """Jump ahead by a duration with the arguments of `timedelta`."""
        self.start(self.now() + timedelta(**duration))

    def update_speed(self, *, idle: bool) -> None:
        """Run fast for the next moment if all processes are idle, else in real time."""
        self._write(speed=SPEED if idle else 1)

    def set_machine(self, error: timedelta) -> None:
        """Set the error of the bots' machine's clock."""
        self._write(machine_error=error.total_seconds())

    def real(self, seconds: float | None) -> float:
        """Return the real seconds to wait before checking the clock again, for a wait of `seconds` on it."""
        return POLL_SECONDS if seconds is None else min(seconds / SPEED, POLL_SECONDS)

    def _read(self) -> _State:
        """Read until two readings agree, because another process may be writing."""
        while (raw := self._memory[:]) != self._memory[:]:
            pass
        return _State(*_STATE.unpack(raw))

    def _write(self, **changed: float) -> None:
        state = self._read()
        known = {"shown": state.now, "speed": state.speed, "machine_error": state.machine_error} | changed
        self._memory[:] = _STATE.pack(known["shown"], time.monotonic(), known["speed"], known["machine_error"])


class _Selector(selectors.DefaultSelector):
    """Waits for the fast clock."""

    def __init__(self, real: Callable[[float | None], float]) -> None:
        super().__init__()
        self._real = real

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout if timeout == 0 else self._real(timeout))


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop that uses the fast clock."""

    def __init__(self, fast_time: FastTime) -> None:
        super().__init__(_Selector(fast_time.real))
        self._fast_time = fast_time

    def time(self) -> float:
        return self._fast_time.seconds()


@dataclass(frozen=True)
class MachineClock:
    """The clock of a bot's machine, which may be wrong; a bot waits by its event loop's clock, which is right."""

    fast_time: FastTime

    def now(self) -> datetime:
        return self.fast_time.machine_now()

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())


def run(main: Coroutine[object, object, None], fast_time: FastTime) -> None:
    """Like `asyncio.run`, with the fast clock."""
    with asyncio.Runner(loop_factory=lambda: FastLoop(fast_time)) as runner:
        runner.run(main)
