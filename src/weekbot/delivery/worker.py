"""Claims and attempts jobs, and handles their delivery errors."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from weekbot.db.errors import FencedError
from weekbot.delivery.deadline import from_now
from weekbot.delivery.dispatcher import Job
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.runtime.clock import Clock
from weekbot.runtime.leadership import Leadership
from weekbot.runtime.log import bind_log_context

J = TypeVar("J")
J_contra = TypeVar("J_contra", contravariant=True)

FinalError = PermanentError | HistoryUnreadableError
TemporaryError = RetryableError | AmbiguousError


class Handler(Protocol[J]):
    @property
    def seconds(self) -> float:
        """The time limit of an attempt; less than the lease of a claimed job."""

    async def claim(self, now: datetime, limit: int, /) -> Sequence[J]: ...
    async def next_at(self) -> datetime | None: ...
    async def attempt(self, job: J, deadline: float, /) -> None:
        """Attempt the job, and record the outcome. No request is sent after the deadline."""


class FailureHandler(Protocol[J_contra]):
    async def give_up(self, job: J_contra, error: FinalError, /) -> None: ...
    async def retry(self, job: J_contra, error: TemporaryError, /) -> None: ...


class LeaderGate:
    """True while this process is the leader and has learnt, in its current term, which servers the bot is in."""

    def __init__(self, leadership: Leadership) -> None:
        self.leadership = leadership
        self._open_term = 0

    def __call__(self) -> bool:
        return self.leadership.is_leader() and self._open_term == self.leadership.term

    def open(self) -> None:
        self._open_term = self.leadership.term


class Worker(Generic[J]):
    """The dispatcher's queue of one kind of work. It is empty while its gate is closed."""

    def __init__(self, handler: Handler[J], clock: Clock, gate: Callable[[], bool] = lambda: True) -> None:
        self._handler = handler
        self._clock = clock
        self._gate = gate

    async def claim(self, limit: int) -> Sequence[Job]:
        if not self._gate():
            return []
        deadline = from_now(self._handler.seconds)  # before the lease begins
        try:
            jobs = await self._handler.claim(self._clock.now(), limit)
        except FencedError:  # another process has just become the leader
            return []
        return [self._handler.attempt(job, deadline) for job in jobs]

    async def next_at(self) -> datetime | None:
        return await self._handler.next_at() if self._gate() else None


async def run_attempt(
    handler: FailureHandler[J], job: J, log_fields: Mapping[str, object], attempt: Awaitable[None]
) -> None:
    """Await the attempt; give up the job after a final error, and retry it after any other delivery error."""
    bind_log_context(log_fields)
    try:
        await attempt
    except (PermanentError, HistoryUnreadableError) as error:
        await handler.give_up(job, error)
    except (RetryableError, AmbiguousError) as error:
        await handler.retry(job, error)
