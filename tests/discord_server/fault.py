"""Injected faults: when, how often, and with which probability they happen.

`RequestFault`, `EventFault` and `HandshakeFault` describe the faults themselves.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from .call import Call
from .rate_limit import VIA
from .request_fault import RequestFault, Then, cut, held, json_body, nothing

FOREVER: Final = math.inf


class Occasion(Protocol):
    """A request, an event or a step of a handshake, to which something can happen."""

    @property
    def name(self) -> str:
        """Return the name by which faults are counted."""

    @property
    def key(self) -> str:
        """Return the key on which random faults depend, besides its number of earlier occurrences."""


class Description(Protocol):
    """A fault."""

    @property
    def kind(self) -> str:
        """Return its name in reports."""

    def applies_to(self, occasion: Any, /) -> bool:
        """Return whether the fault can happen to the occasion."""


AnyOccasion = TypeVar("AnyOccasion", bound=Occasion)
ContraOccasion = TypeVar("ContraOccasion", bound=Occasion, contravariant=True)
AnyFault = TypeVar("AnyFault", bound=Description)
CoFault = TypeVar("CoFault", bound=Description, covariant=True)


class Chooser(Protocol[ContraOccasion, CoFault]):
    """Chooses the fault of each occasion."""

    def take(self, occasion: ContraOccasion, /) -> CoFault | None:
        """Return the fault of an occasion, if it has one."""


@dataclass(eq=False)
class Planned(Generic[AnyOccasion, AnyFault]):
    """A fault of the next `times` matching occasions."""

    matches: Callable[[AnyOccasion], bool]
    fault: AnyFault
    times: float = 1

    def take(self, occasion: AnyOccasion) -> AnyFault | None:
        """Return the fault of an occasion, and count down `times`."""
        if self.times <= 0 or not self.matches(occasion) or not self.fault.applies_to(occasion):
            return None
        self.times -= 1
        return self.fault


def everything(_occasion: object) -> bool:
    """Match every occasion."""
    return True


Shares: TypeAlias = Sequence[tuple[float, Sequence[AnyFault]]]
"""The shares of occasions (0 to 1), each with the faults of which an occasion gets one."""


@dataclass
class Mix(Generic[AnyOccasion, AnyFault]):
    """Random faults of matching occasions.

    The fault of an occasion depends on the seed, its key and the number of earlier occurrences of that key, but not
    on the order of occasions with different keys.
    """

    seed: object
    shares: Shares[AnyFault]
    matches: Callable[[AnyOccasion], bool] = everything
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, occasion: AnyOccasion) -> AnyFault | None:
        """Return the fault of an occasion, if it has one."""
        if not self.matches(occasion):
            return None
        self.counts[occasion.key] += 1
        dice = Random(f"{self.seed} {occasion.key} {self.counts[occasion.key]}")  # noqa: S311 - must be repeatable
        drawn = self._drawn(dice)
        return drawn if drawn and drawn.applies_to(occasion) else None

    def _drawn(self, dice: Random) -> AnyFault | None:
        left = dice.random()
        for share, faults in self.shares:
            if left < share:
                return dice.choice(faults)
            left -= share
        return None


@dataclass
class Faults(Generic[AnyOccasion, AnyFault]):
    """The planned faults in their order, and the random ones."""

    injected: Counter[str] = field(default_factory=Counter)
    pending: list[Chooser[AnyOccasion, AnyFault]] = field(default_factory=list)
    mixes: list[Chooser[AnyOccasion, AnyFault]] = field(default_factory=list)

    def take(self, occasion: AnyOccasion) -> AnyFault | None:
        """Return the fault of an occasion, and count it."""
        for chooser in (*self.pending, *self.mixes):
            if fault := chooser.take(occasion):
                self.injected[f"{occasion.name}: {fault.kind}"] += 1
                return fault
        return None


# Requests by method and path


def matching(method: str, path: str) -> Callable[[Call], bool]:
    """Return a predicate for requests with a matching method and path.

    Both are regular expressions: the method must match as a whole, and the path must contain a match.
    """
    return lambda call: bool(re.fullmatch(method, call.method) and re.search(path, call.path))


def planned(method: str, path: str, fault: RequestFault, times: float = 1) -> Planned[Call, RequestFault]:
    """Plan a fault of the next requests."""
    return Planned(matching(method, path), fault, times)


def fault(
    method: str,
    path: str,
    status: int | None,
    body: Any = None,
    *,
    times: int = 1,
    takes_effect: bool = False,
    held: bool = False,
    then: Then = nothing,
) -> Planned[Call, RequestFault]:
    """Plan a failure of the next requests; a status of None stands for a cut connection, or a held one."""
    return planned(method, path, replace(_failure(status, body, takes_effect, held), then=then), times)


def _failure(status: int | None, body: Any, takes_effect: bool, is_held: bool) -> RequestFault:
    made = _without_response(is_held) if status is None else _with_response(status, body)
    return made.carried_out() if takes_effect else made


def _without_response(is_held: bool) -> RequestFault:
    return held() if is_held else cut()


def _with_response(status: int, body: Any) -> RequestFault:
    limited = status == 429
    default = RATE_LIMITED_BODY if limited else {"code": 0, "message": f"{status}: made to fail"}
    return json_body(status, default if body is None else body, RATE_LIMITED_HEADERS if limited else {})


# A 429 that ends immediately, unlike one of `request_fault.rate_limit`.
RATE_LIMITED_HEADERS: Final = {**VIA, "Retry-After": "1"}
RATE_LIMITED_BODY: Final = {"message": "You are being rate limited.", "retry_after": 0.01, "global": False}


@dataclass(frozen=True)
class Chance:
    """The share of requests (0 to 1) that fail, and the possible statuses."""

    share: float
    statuses: Sequence[int | None]
    takes_effect: bool = False
    held: bool = False

    def faults(self) -> list[RequestFault]:
        """Return a failure for each status."""
        return [_failure(status, None, self.takes_effect, self.held) for status in self.statuses]


NO_ANSWER: Sequence[None] = (None,)


class FaultMix(Mix[Call, RequestFault]):
    """Random failures of requests with a matching path, except for the `spared` paths."""

    def __init__(
        self,
        seed: object,
        method: str,
        path: str,
        chances: Sequence[Chance],
        spared: frozenset[str] = frozenset(),
    ) -> None:
        matches = matching(method, path)
        shares = [(chance.share, chance.faults()) for chance in chances]
        super().__init__(seed, shares, lambda call: matches(call) and call.path not in spared)
