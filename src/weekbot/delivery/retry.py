"""How long to wait before trying again."""

import random
from datetime import timedelta

from weekbot.delivery.errors import RateLimitedError, RetryableError

_FIRST = timedelta(seconds=2)
LONGEST = timedelta(seconds=90)
"""So what has failed succeeds within two minutes after it can."""


def pause(attempts: int, longest: timedelta = LONGEST) -> timedelta:
    """Doubles with each attempt made, up to the longest; spread by half so that many retries do not come at once."""
    doubled = min(_FIRST * int(2 ** min(attempts - 1, 20)), longest)
    return doubled * random.uniform(0.75, 1.25)  # noqa: S311 - nothing depends on its quality


def pause_after(error: Exception, attempts: int, longest: timedelta = LONGEST) -> timedelta:
    """The pause, or what Discord asks to wait if that is longer.

    While all requests are paused none fails, so that nothing is gained by waiting longer than that.
    """
    if isinstance(error, RateLimitedError) and error.everywhere:
        return max(_FIRST, error.after)
    after = error.after if isinstance(error, RetryableError) else timedelta()
    return max(pause(attempts, longest), after)
