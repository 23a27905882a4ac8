"""The findings of checks, and guards that keep a failed or unanswered check from ending the others."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from traceback import format_tb
from typing import TypeVar

from weekbot.discord_io.errors import map_errors
from weekbot.runtime.errors import WeekbotError

log = logging.getLogger(__name__)

ANSWER_SECONDS = 15

T = TypeVar("T")


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, but needs a look
    ERROR = "error"  # it does not work


@dataclass(frozen=True)
class Finding:
    level: Level
    part: str  # the checked part, in a word
    sentence: str  # the finding and, unless all is well, what to do


Findings = AsyncIterator[Finding]
ok, warning, error = (partial(Finding, level) for level in Level)


async def guarded(part: str, findings: Findings) -> Findings:
    """Yield the findings, and as the last one the error that ended the check early."""
    try:
        async for finding in findings:
            yield finding
    except TimeoutError:
        yield error(part, "There was no answer in time; check the network and try again.")
    except (WeekbotError, OSError) as trouble:
        yield error(part, str(trouble))
    except Exception as unexpected:
        # Without its message, which might hold a secret: people show reports to others.
        where = "".join(format_tb(unexpected.__traceback__))
        log.error("unexpected %s in the check of %s\n%s", type(unexpected).__name__, part, where)
        yield error(part, "The check failed with an unexpected error, which is logged. Please report it.")


async def answer_to(request: Awaitable[T], seconds: float | None = None) -> T:
    """Wait for a request to Discord. Raises delivery errors, and TimeoutError after `seconds` (default: 15)."""
    async with asyncio.timeout(seconds or ANSWER_SECONDS):
        with map_errors():
            return await request


async def at_once(findings: Iterable[Finding]) -> Findings:
    """Adapt a check that waits for nothing."""
    for finding in findings:
        yield finding


def not_checked(part: str, why: str) -> Findings:
    return at_once([warning(part, f"not checked, because {why}")])
