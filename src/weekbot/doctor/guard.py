"""Keeps what goes wrong in one check from ending the others."""

import logging
from collections.abc import AsyncIterator, Iterable
from traceback import format_tb

from weekbot.doctor.finding import Finding, error, warning
from weekbot.errors import WeekbotError

log = logging.getLogger(__name__)


async def guarded(part: str, findings: AsyncIterator[Finding]) -> AsyncIterator[Finding]:
    """The findings, and as the last one what kept the check from going on."""
    try:
        async for finding in findings:
            yield finding
    except TimeoutError:
        yield error(part, "There was no answer in time; check the network and try again.")
    except (WeekbotError, OSError) as trouble:
        yield error(part, str(trouble))
    except Exception as unexpected:
        # Without what it says, as that might hold a secret, and reports are shown around.
        where = "".join(format_tb(unexpected.__traceback__))
        log.error("unexpected %s in the check of %s\n%s", type(unexpected).__name__, part, where)
        yield error(part, "The check failed with an unexpected error, which is logged. Please report it.")


async def at_once(findings: Iterable[Finding]) -> AsyncIterator[Finding]:
    """Of a check that waits for nothing."""
    for finding in findings:
        yield finding


def not_checked(part: str, why: str) -> AsyncIterator[Finding]:
    return at_once([warning(part, f"not checked, because {why}")])
