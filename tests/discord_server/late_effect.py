"""Effects of requests that happen some time after the response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from .changes import Changes
from .snowflake import Clock

Effect: TypeAlias = Callable[[], object]

# The interval between two checks of the clock, in seconds of real time: the clock may be stopped, or jump.
POLL_SECONDS = 0.02


@dataclass
class LateEffects:
    """Effects and their times."""

    clock: Clock
    waiting: list[tuple[datetime, Effect]] = field(default_factory=list)

    def add(self, seconds: float, effect: Effect) -> None:
        """Schedule an effect after a number of seconds."""
        self.waiting.append((self.clock() + timedelta(seconds=seconds), effect))

    def apply_due(self) -> bool:
        """Apply the effects that are due, the earliest first; return whether there were any."""
        now = self.clock()
        due = sorted((each for each in self.waiting if each[0] <= now), key=lambda each: each[0])
        self.waiting = [each for each in self.waiting if each[0] > now]
        for _, effect in due:
            effect()
        return bool(due)


@dataclass
class Watch:
    """Applies effects independently of requests."""

    effects: LateEffects
    changes: Changes
    task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start watching the clock, unless it is being watched."""
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Stop watching the clock; remaining effects wait for another start."""
        if self.task is not None:
            self.task.cancel()

    async def _watch(self) -> None:
        while self.effects.waiting:
            if self.effects.apply_due():
                self.changes.notify()
            await asyncio.sleep(POLL_SECONDS)
