"""What requests asked for and is done only some time after they were answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from .changes import Changes
from .snowflake import Clock

Effect: TypeAlias = Callable[[], object]

# How often the clock is looked at, in seconds of real time: it may be one that stands still, or that jumps.
GLANCE = 0.02


@dataclass
class LateEffects:
    """Effects and when they come, by a clock."""

    clock: Clock
    waiting: list[tuple[datetime, Effect]] = field(default_factory=list)

    def add(self, seconds: float, effect: Effect) -> None:
        """Let an effect come after so many seconds."""
        self.waiting.append((self.clock() + timedelta(seconds=seconds), effect))

    def come(self) -> bool:
        """Let those come that are due, the earliest first, and tell whether there were any."""
        now = self.clock()
        due = sorted((each for each in self.waiting if each[0] <= now), key=lambda each: each[0])
        self.waiting = [each for each in self.waiting if each[0] > now]
        for _, effect in due:
            effect()
        return bool(due)


@dataclass
class Watch:
    """Lets effects come without a request, while there are any to wait for."""

    effects: LateEffects
    changes: Changes
    task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch the clock, unless that goes on already."""
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Watch it no more; what has not come yet waits for another start."""
        if self.task is not None:
            self.task.cancel()

    async def _watch(self) -> None:
        while self.effects.waiting:
            if self.effects.come():
                self.changes.notify()
            await asyncio.sleep(GLANCE)
