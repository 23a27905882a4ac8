"""The pause before the next attempt."""

import random
from datetime import timedelta

from weekbot.delivery.errors import RateLimitedError, RetryableError

_FIRST = timedelta(seconds=2)
LONGEST = timedelta(seconds=90)  # short enough for a failed request to succeed within two minutes after it can


def pause(attempts: int, longest: timedelta = LONGEST) -> timedelta:
    """Exponential backoff up to the longest pause, with jitter so that many retries don't coincide."""
    doubled = min(_FIRST * int(2 ** min(attempts - 1, 20)), longest)
    return doubled * random.uniform(0.75, 1.25)  # noqa: S311 - nothing depends on its quality


def pause_after(error: Exception, attempts: int, longest: timedelta = LONGEST) -> timedelta:
    """The backoff, or the time that Discord asks to wait if that is longer.

    After a limit of all requests only that time counts, because no request fails while all of them are paused.
    """
    if isinstance(error, RateLimitedError) and error.everywhere:
        return max(_FIRST, error.after)
    after = error.after if isinstance(error, RetryableError) else timedelta()
    return max(pause(attempts, longest), after)
