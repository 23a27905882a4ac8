"""Things that go wrong on purpose."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from .call import Call

# discord.py takes a 429 without this header for a ban by Cloudflare and does not retry it.
RATE_LIMITED_HEADERS = {"Via": "1.1 google", "Retry-After": "1"}
RATE_LIMITED_BODY = {"message": "You are being rate limited.", "retry_after": 0.01, "global": False}

Effect: TypeAlias = Callable[[], object]
"""Called when a request has taken effect and is not answered yet."""


def nothing() -> None:
    """Do no more."""


@dataclass
class Fault:
    """A wrong answer to some requests; a status of None is no answer: the connection is cut, or held open."""

    method: str
    path: re.Pattern[str]
    status: int | None
    body: Any
    headers: Mapping[str, str]
    times: int
    takes_effect: bool
    held: bool = False
    then: Effect = nothing

    def hits(self, call: Call) -> bool:
        """Tell whether it is for this request."""
        return self.times > 0 and call.method == self.method and bool(self.path.search(call.path))


def fault(
    method: str,
    path: str,
    status: int | None,
    body: Any = None,
    *,
    times: int = 1,
    takes_effect: bool = False,
    held: bool = False,
    then: Effect = nothing,
) -> Fault:
    """Make a fault for paths in which a regular expression is found."""
    limited = status == 429
    usual = RATE_LIMITED_BODY if limited else {"code": 0, "message": f"{status}: made to fail"}
    headers = RATE_LIMITED_HEADERS if limited else {}
    wrong = usual if body is None else body
    return Fault(method, re.compile(path), status, wrong, headers, times, takes_effect, held, then)


@dataclass(frozen=True)
class Chance:
    """The share of requests (0 to 1) that meet a fault, and the statuses of which it has one."""

    share: float
    statuses: Sequence[int | None]
    takes_effect: bool = False
    held: bool = False


NO_ANSWER: Sequence[None] = (None,)


@dataclass
class FaultMix:
    """Faults by chance, for paths in which a regular expression is found, except those that are spared.

    What a request meets depends on the seed, on its path and on how often that was asked for before, so that it does
    not depend on the order in which requests to several paths arrive.
    """

    seed: object
    method: str
    path: str
    chances: Sequence[Chance]
    spared: frozenset[str] = frozenset()
    asked: Counter[str] = field(default_factory=Counter)

    def take(self, call: Call) -> Fault | None:
        """Return the fault that a request meets, if it meets one."""
        if call.method != self.method or call.path in self.spared or not re.search(self.path, call.path):
            return None
        self.asked[call.path] += 1
        return self._drawn(Random(f"{self.seed} {call.path} {self.asked[call.path]}"))  # noqa: S311 - to be repeatable

    def _drawn(self, dice: Random) -> Fault | None:
        left = dice.random()
        for chance in self.chances:
            if left < chance.share:
                status, effect = dice.choice(chance.statuses), chance.takes_effect
                return fault(self.method, self.path, status, takes_effect=effect, held=chance.held)
            left -= chance.share
        return None


@dataclass
class Faults:
    """The faults that are due, in the order in which they were set, and those that come by chance."""

    pending: list[Fault] = field(default_factory=list)
    mixes: list[FaultMix] = field(default_factory=list)

    def take(self, call: Call) -> Fault | None:
        """Return the fault that a request meets, which is then one nearer to its end."""
        for each in self.pending:
            if each.hits(call):
                each.times -= 1
                return each
        return next((found for mix in self.mixes if (found := mix.take(call))), None)
