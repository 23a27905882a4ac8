"""Restricts work to the leader."""

from collections.abc import Callable, Sequence
from datetime import datetime

from weekbot.db.errors import FencedError
from weekbot.delivery.dispatcher import Job, JobQueue
from weekbot.runtime.leadership import Leadership


class LeaderGate:
    """True while this process is the leader and has learnt, in its current term, which servers the bot is in."""

    def __init__(self, leadership: Leadership) -> None:
        self.leadership = leadership
        self._open_term = 0

    def __call__(self) -> bool:
        return self.leadership.is_leader() and self._open_term == self.leadership.term

    def open(self) -> None:
        self._open_term = self.leadership.term


class GatedQueue:
    """A job queue that is empty while its gate is closed."""

    def __init__(self, queue: JobQueue, gate: Callable[[], bool]) -> None:
        self._queue = queue
        self._gate = gate

    async def claim(self, limit: int) -> Sequence[Job]:
        if not self._gate():
            return []
        try:
            return await self._queue.claim(limit)
        except FencedError:
            return []

    async def next_at(self) -> datetime | None:
        return await self._queue.next_at() if self._gate() else None
