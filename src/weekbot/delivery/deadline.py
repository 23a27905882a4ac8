"""In time or never: a request that was held up for too long must not leave any more, as it may have been repeated."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from weekbot.delivery.errors import AmbiguousError, RetryableError
from weekbot.i18n.language import N_
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.loop import now

log = logging.getLogger(__name__)

HELD_UP = "this process was held up"
NO_ANSWER = N_("Discord did not answer")
UNEXPECTED = N_("an unexpected error, which is logged")


@dataclass
class _Deadline:
    """`at` on the event loop's clock; `left` is whether a request has left since."""

    at: float
    left: bool = False


_deadline: ContextVar[_Deadline | None] = ContextVar("_deadline", default=None)


def from_now(seconds: float) -> float:
    """The instant in so many seconds, on the event loop's clock."""
    return now() + seconds


def is_over(deadline: float) -> bool:
    return now() > deadline


@asynccontextmanager
async def deadline_at(when: float) -> AsyncIterator[None]:
    """Like `asyncio.timeout_at`; no request that is made within leaves later than that either.

    A process that was frozen hears a time-out only after what it was about to do. Raises RetryableError if it is too
    late already or no request has left when the time is over, else AmbiguousError, as for any error that nobody
    expected.
    """
    deadline = _Deadline(when)
    token = _deadline.set(deadline)
    try:
        check_deadline()
        async with asyncio.timeout_at(when) as timer:
            yield
    except TimeoutError as error:
        held_up = timer.expired() and not deadline.left
        raise (RetryableError(HELD_UP) if held_up else AmbiguousError(NO_ANSWER)) from error
    except WeekbotError:
        raise
    except Exception as error:
        log.exception("unexpected error in a request")
        raise AmbiguousError(UNEXPECTED) from error
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """Until the deadline of what is being done; without one, for ever."""
    deadline = _deadline.get()
    return deadline.at - now() if deadline else math.inf


def check_deadline() -> None:
    """Raises RetryableError."""
    deadline = _deadline.get()
    if deadline and is_over(deadline.at):
        raise RetryableError(HELD_UP)


def mark_sent() -> None:
    """A request leaves now. Raises RetryableError if it is too late for that."""
    check_deadline()
    if deadline := _deadline.get():
        deadline.left = True
