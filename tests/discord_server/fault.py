"""Things that go wrong on purpose: where, how often, and by what chance.

What goes wrong is described by `RequestFault`, `EventFault` and `HandshakeFault`.
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
        """Return what faults are counted by."""

    @property
    def key(self) -> str:
        """Return what chance depends on, besides how often it was there before."""


class Description(Protocol):
    """What happens."""

    @property
    def kind(self) -> str:
        """Return what it is called in reports."""

    def fits(self, occasion: Any, /) -> bool:
        """Tell whether it can happen to this."""


AnyOccasion = TypeVar("AnyOccasion", bound=Occasion)
ContraOccasion = TypeVar("ContraOccasion", bound=Occasion, contravariant=True)
AnyFault = TypeVar("AnyFault", bound=Description)
CoFault = TypeVar("CoFault", bound=Description, covariant=True)


class Chooser(Protocol[ContraOccasion, CoFault]):
    """Decides what happens to each occasion."""

    def take(self, occasion: ContraOccasion, /) -> CoFault | None:
        """Return what happens to an occasion, if anything does."""


@dataclass(eq=False)
class Planned(Generic[AnyOccasion, AnyFault]):
    """What happens to the next so many occasions that it is meant for."""

    meant: Callable[[AnyOccasion], bool]
    fault: AnyFault
    times: float = 1

    def take(self, occasion: AnyOccasion) -> AnyFault | None:
        """Return what happens to an occasion, which is then one nearer to its end."""
        if self.times <= 0 or not self.meant(occasion) or not self.fault.fits(occasion):
            return None
        self.times -= 1
        return self.fault


def everything(_occasion: object) -> bool:
    """Spare nothing."""
    return True


Shares: TypeAlias = Sequence[tuple[float, Sequence[AnyFault]]]
"""The shares of occasions (0 to 1), and the faults of which each of them meets one."""


@dataclass
class Mix(Generic[AnyOccasion, AnyFault]):
    """Faults by chance, for the occasions that they are meant for.

    What an occasion meets depends on the seed, on its key and on how often that was there before, so that it does not
    depend on the order in which occasions with several keys come.
    """

    seed: object
    shares: Shares[AnyFault]
    meant: Callable[[AnyOccasion], bool] = everything
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, occasion: AnyOccasion) -> AnyFault | None:
        """Return what happens to an occasion."""
        if not self.meant(occasion):
            return None
        self.counts[occasion.key] += 1
        dice = Random(f"{self.seed} {occasion.key} {self.counts[occasion.key]}")  # noqa: S311 - to be repeatable
        drawn = self._drawn(dice)
        return drawn if drawn and drawn.fits(occasion) else None

    def _drawn(self, dice: Random) -> AnyFault | None:
        left = dice.random()
        for share, faults in self.shares:
            if left < share:
                return dice.choice(faults)
            left -= share
        return None


@dataclass
class Faults(Generic[AnyOccasion, AnyFault]):
    """The faults that are planned, in the order in which they were, and those that come by chance."""

    injected: Counter[str] = field(default_factory=Counter)
    pending: list[Chooser[AnyOccasion, AnyFault]] = field(default_factory=list)
    mixes: list[Chooser[AnyOccasion, AnyFault]] = field(default_factory=list)

    def take(self, occasion: AnyOccasion) -> AnyFault | None:
        """Return what happens to an occasion, and count it."""
        for chooser in (*self.pending, *self.mixes):
            if fault := chooser.take(occasion):
                self.injected[f"{occasion.name}: {fault.kind}"] += 1
                return fault
        return None


# Requests by method and path


def meant_for(method: str, path: str) -> Callable[[Call], bool]:
    """Tell which requests are meant: those with this method, and a path in which a regular expression is found.

    The method is a regular expression as well, so that several can be meant.
    """
    return lambda call: bool(re.fullmatch(method, call.method) and re.search(path, call.path))


def planned(method: str, path: str, what: RequestFault, times: float = 1) -> Planned[Call, RequestFault]:
    """Plan something for the next requests."""
    return Planned(meant_for(method, path), what, times)


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
    """Plan a plain failure of the next requests; a status of None is no answer: a cut connection, or a held one."""
    return planned(method, path, replace(_failure(status, body, takes_effect, held), then=then), times)


def _failure(status: int | None, body: Any, takes_effect: bool, is_held: bool) -> RequestFault:
    made = _without_answer(is_held) if status is None else _with_answer(status, body)
    return made.carried_out() if takes_effect else made


def _without_answer(is_held: bool) -> RequestFault:
    return held() if is_held else cut()


def _with_answer(status: int, body: Any) -> RequestFault:
    limited = status == 429
    usual = RATE_LIMITED_BODY if limited else {"code": 0, "message": f"{status}: made to fail"}
    return json_body(status, usual if body is None else body, RATE_LIMITED_HEADERS if limited else {})


# A 429 that is over at once, unlike one of `rate_limit.limited`.
RATE_LIMITED_HEADERS: Final = {**VIA, "Retry-After": "1"}
RATE_LIMITED_BODY: Final = {"message": "You are being rate limited.", "retry_after": 0.01, "global": False}


@dataclass(frozen=True)
class Chance:
    """The share of requests (0 to 1) that meet a plain failure, and the statuses of which it has one."""

    share: float
    statuses: Sequence[int | None]
    takes_effect: bool = False
    held: bool = False

    def faults(self) -> list[RequestFault]:
        """Return the failures, one a status."""
        return [_failure(status, None, self.takes_effect, self.held) for status in self.statuses]


NO_ANSWER: Sequence[None] = (None,)


class FaultMix(Mix[Call, RequestFault]):
    """Plain failures by chance, for paths in which a regular expression is found, except those that are spared."""

    def __init__(
        self,
        seed: object,
        method: str,
        path: str,
        chances: Sequence[Chance],
        spared: frozenset[str] = frozenset(),
    ) -> None:
        among = meant_for(method, path)
        shares = [(chance.share, chance.faults()) for chance in chances]
        super().__init__(seed, shares, lambda call: among(call) and call.path not in spared)
