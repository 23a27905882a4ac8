"""Attempts jobs, and decides by the kind of a delivery error what becomes of them."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from weekbot.delivery.deadline import from_now
from weekbot.delivery.dispatcher import Job
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.runtime.clock import Clock

J = TypeVar("J")
J_contra = TypeVar("J_contra", contravariant=True)

GivenUp = PermanentError | HistoryUnreadableError
Retried = RetryableError | AmbiguousError


class Handler(Protocol[J]):
    """One kind of work."""

    @property
    def seconds(self) -> float:
        """How long an attempt may take; less than the lease of a claimed job."""

    async def claim(self, now: datetime, limit: int, /) -> Sequence[J]:
        """The jobs that are due, leased."""

    async def next_at(self) -> datetime | None:
        """When the next job is due, as far as is known."""

    async def attempt(self, job: J, deadline: float, /) -> None:
        """Attempt the job, and record what became of it. No request leaves after the deadline."""


class Settles(Protocol[J_contra]):
    """Records jobs whose attempt failed."""

    async def give_up(self, job: J_contra, error: GivenUp, /) -> None: ...

    async def retry(self, job: J_contra, error: Retried, /) -> None: ...


class Worker(Generic[J]):
    """The dispatcher's queue of one kind of work."""

    def __init__(self, handler: Handler[J], clock: Clock) -> None:
        self._handler = handler
        self._clock = clock

    async def claim(self, limit: int) -> Sequence[Job]:
        deadline = from_now(self._handler.seconds)  # before the lease begins
        jobs = await self._handler.claim(self._clock.now(), limit)
        return [self._handler.attempt(job, deadline) for job in jobs]

    async def next_at(self) -> datetime | None:
        return await self._handler.next_at()


async def settle(handler: Settles[J], job: J, attempt: Awaitable[None]) -> None:
    """Await the attempt: after a permanent error the job is given up, after any other delivery error it is retried."""
    try:
        await attempt
    except (PermanentError, HistoryUnreadableError) as error:
        await handler.give_up(job, error)
    except (RetryableError, AmbiguousError) as error:
        await handler.retry(job, error)
