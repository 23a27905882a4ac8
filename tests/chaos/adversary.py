"""A seeded adversary that injects faults into requests, events and handshakes.

It leaves out what is final: a 401, and refusals with a code that is known to be permanent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final

from discord_server import event_fault, handshake_fault, request_fault
from discord_server.call import Call
from discord_server.event_fault import Event, EventFault
from discord_server.fault import Mix
from discord_server.handshake_fault import Handshake, HandshakeFault
from discord_server.rate_limit import Scope
from discord_server.request_fault import RequestFault

HOUR = timedelta(hours=1)
# Seconds after which Discord carries out an unanswered request; the bot assumes at most 65.
LATE: Final = (8, 30, 55)
COMMANDS: Final = "/commands"
LISTS: Final = (COMMANDS, "/users/@me/guilds")


def _shortened(entries: Any) -> Any:
    """Return a page without its last entry. The bot could not detect a history that is wrongly empty."""
    return entries[:-1] if isinstance(entries, list) and len(entries) > 1 else entries


NONSENSE: Final[Sequence[object]] = ({}, None, "text", 7)
UNANSWERED: Final = (request_fault.cut(), request_fault.held())
BROKEN: Final = (
    *(request_fault.html(status) for status in (200, 400, 403, 404, 500, 502, 503, 504, 520)),
    *(request_fault.empty(status) for status in (200, 403, 502)),
    *(request_fault.refusal(status, code) for status in (400, 403, 404, 500) for code in (None, 0)),
    *(request_fault.json_body(200, body) for body in NONSENSE),
)
SCOPES: Final[Sequence[Scope]] = ("user", "shared", "global", "cloudflare")
# A rate-limited request is never carried out.
LIMITS: Final = (
    request_fault.html(429),
    *(request_fault.rate_limit(seconds, scope) for scope in SCOPES for seconds in (0.3, 3.0, 20.0, 100.0)),
)
MODIFIED: Final = (
    request_fault.truncated(),
    request_fault.truncated(announced=True),
    request_fault.with_charset(),
    request_fault.misdated(HOUR),
    request_fault.misdated(-HOUR),
    request_fault.rewritten("list shortened", _shortened),
)
QUOTA: Final = request_fault.daily_quota(600)
EMPTY: Final = request_fault.emptied()
KINDS: Final[Sequence[Sequence[RequestFault]]] = (
    UNANSWERED,
    [each.carried_out() for each in UNANSWERED],
    [each.carried_out(after) for each in UNANSWERED for after in LATE],
    BROKEN,
    [each.carried_out() for each in BROKEN],
    [each.carried_out(after) for each in BROKEN for after in LATE],
    LIMITS,
    MODIFIED,
)
HANDSHAKES: Final[Sequence[HandshakeFault]] = (
    *(
        handshake_fault.closed(code)
        for code in (1000, 1001, 1006, 1011, 4000, 4001, 4002, 4003, 4005, 4007, 4008, 4009)
    ),
    handshake_fault.invalid_session(),
    handshake_fault.invalid_session(resumable=True),
    handshake_fault.silence(),
)
WHOLE_EVENTS: Final[Sequence[EventFault]] = (
    event_fault.renamed(),
    event_fault.of_unknown_guild(),
    event_fault.duplicated(),
    event_fault.lost(),
    event_fault.truncated(),
    event_fault.not_json(),
    *(event_fault.late(by) for by in (1, 2, 5)),
)
FIELD_FAULTS: Final = (
    event_fault.without,
    lambda path: event_fault.with_value(path, None),
    event_fault.mistyped,
)


@dataclass
class EventMix:
    """Random event faults: of any field, or of the whole event."""

    seed: object
    share: float
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, event: Event) -> EventFault | None:
        """Return the fault of an event, if it has one."""
        self.counts[event.key] += 1
        dice = Random(f"{self.seed} {event.key} {self.counts[event.key]}")
        if dice.random() >= self.share:
            return None
        paths = sorted(event_fault.paths(event.data))
        drawn = (
            dice.choice(FIELD_FAULTS)(dice.choice(paths))
            if paths and dice.random() < 0.6
            else dice.choice(WHOLE_EVENTS)
        )
        return drawn if drawn.applies_to(event) else None


@dataclass(frozen=True)
class Attack:
    """The faults during a fault period, and the shares of requests, events and handshakes that have one."""

    seed: str
    requests: Sequence[tuple[float, Sequence[RequestFault]]]
    events: float
    handshakes: float

    @classmethod
    def random(cls, dice: Random) -> Attack:
        """Return an attack with random faults and shares; in every fifth one, no request succeeds."""
        kinds = dice.sample(KINDS, dice.randint(1, len(KINDS)))
        share = 1.0 if dice.random() < 0.2 else dice.choice((0.1, 0.3, 0.6))
        return cls(
            seed=str(dice.random()),
            requests=[(share / len(kinds), kind) for kind in kinds],
            events=dice.choice((0, 0.1, 0.4)),
            handshakes=dice.choice((0, 0.3, 0.8)),
        )

    def on_requests(self) -> Mix[Call, RequestFault]:
        return Mix(self.seed, self.requests)

    def on_registrations(self) -> Mix[Call, RequestFault]:
        """Refuse half of the command registrations because of the daily quota."""
        return Mix(self.seed, [(0.5, [QUOTA])], lambda call: call.method == "PUT" and call.path.endswith(COMMANDS))

    def on_lists(self) -> Mix[Call, RequestFault]:
        """Empty half of the lists of servers and commands."""
        return Mix(self.seed, [(0.5, [EMPTY])], lambda call: call.method == "GET" and call.path.endswith(LISTS))

    def on_events(self) -> EventMix:
        return EventMix(self.seed, self.events)

    def on_handshakes(self) -> Mix[Handshake, HandshakeFault]:
        return Mix(self.seed, [(self.handshakes, HANDSHAKES)])

    def __str__(self) -> str:
        share = sum(each for each, _ in self.requests)
        return f"{share:.0%} of requests, {self.events:.0%} of events, {self.handshakes:.0%} of handshakes"
