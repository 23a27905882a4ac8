"""Deadlines of requests: one that was held up for too long must not be sent, because it may have been repeated."""

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
    """`at` is on the event loop's clock."""

    at: float
    request_sent: bool = False


_deadline: ContextVar[_Deadline | None] = ContextVar("_deadline", default=None)


def from_now(seconds: float) -> float:
    """The instant after that many seconds, on the event loop's clock."""
    return now() + seconds


def has_passed(deadline: float) -> bool:
    return now() > deadline


@asynccontextmanager
async def deadline_at(when: float) -> AsyncIterator[None]:
    """Like `asyncio.timeout_at`; in addition, no request made within is sent after that instant.

    A process that was frozen notices a time-out only after its next action. Raises RetryableError if the deadline
    passes before a request is sent, and AmbiguousError if it passes later or after any unexpected error.
    """
    deadline = _Deadline(when)
    token = _deadline.set(deadline)
    try:
        check_deadline()
        async with asyncio.timeout_at(when) as timer:
            yield
    except TimeoutError as error:
        held_up = timer.expired() and not deadline.request_sent
        raise (RetryableError(HELD_UP) if held_up else AmbiguousError(NO_ANSWER)) from error
    except WeekbotError:
        raise
    except Exception as error:
        log.exception("unexpected error in a request")
        raise AmbiguousError(UNEXPECTED) from error
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """The time until the current deadline; infinite if there is none."""
    deadline = _deadline.get()
    return deadline.at - now() if deadline else math.inf


def check_deadline() -> None:
    if seconds_left() < 0:
        raise RetryableError(HELD_UP)


def mark_sent() -> None:
    """Note that a request is sent now. Raises RetryableError if the deadline has passed."""
    check_deadline()
    if deadline := _deadline.get():
        deadline.request_sent = True
