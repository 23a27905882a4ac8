"""Attempts jobs, and handles their delivery errors."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from weekbot.delivery.deadline import from_now
from weekbot.delivery.dispatcher import Job
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.runtime.clock import Clock

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


class Worker(Generic[J]):
    def __init__(self, handler: Handler[J], clock: Clock) -> None:
        self._handler = handler
        self._clock = clock
        self.next_at = handler.next_at

    async def claim(self, limit: int) -> Sequence[Job]:
        deadline = from_now(self._handler.seconds)  # before the lease begins
        jobs = await self._handler.claim(self._clock.now(), limit)
        return [self._handler.attempt(job, deadline) for job in jobs]


async def run_attempt(handler: FailureHandler[J], job: J, attempt: Awaitable[None]) -> None:
    """Await the attempt; give up the job after a final error, and retry it after any other delivery error."""
    try:
        await attempt
    except (PermanentError, HistoryUnreadableError) as error:
        await handler.give_up(job, error)
    except (RetryableError, AmbiguousError) as error:
        await handler.retry(job, error)
