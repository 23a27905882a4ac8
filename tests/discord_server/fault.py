"""Things that go wrong on purpose."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .call import Call

# discord.py takes a 429 without this header for a ban by Cloudflare and does not retry it.
RATE_LIMITED_HEADERS = {"Via": "1.1 google", "Retry-After": "1"}
RATE_LIMITED_BODY = {"message": "You are being rate limited.", "retry_after": 0.01, "global": False}


@dataclass
class Fault:
    """A wrong answer to some requests; a status of None cuts the connection instead."""

    method: str
    path: re.Pattern[str]
    status: int | None
    body: Any
    headers: Mapping[str, str]
    times: int
    takes_effect: bool

    def hits(self, call: Call) -> bool:
        """Tell whether it is for this request."""
        return self.times > 0 and call.method == self.method and bool(self.path.search(call.path))


def fault(
    method: str, path: str, status: int | None, body: Any = None, *, times: int = 1, takes_effect: bool = False
) -> Fault:
    """Make a fault for paths in which a regular expression is found."""
    limited = status == 429
    usual = RATE_LIMITED_BODY if limited else {"code": 0, "message": f"{status}: made to fail"}
    headers = RATE_LIMITED_HEADERS if limited else {}
    return Fault(method, re.compile(path), status, usual if body is None else body, headers, times, takes_effect)


@dataclass
class Faults:
    """The faults that are due, in the order in which they were set."""

    pending: list[Fault] = field(default_factory=list)

    def take(self, call: Call) -> Fault | None:
        """Return the fault that a request meets, which is then one nearer to its end."""
        for each in self.pending:
            if each.hits(call):
                each.times -= 1
                return each
        return None
