"""A gateway session, which outlives its connections."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .connection import Connection
from .event_fault import Damage, Event, EventFault, same_text
from .payload import Payload

DISPATCH = 0


@dataclass
class LateEvent:
    """An event that is sent after a number of others."""

    after: int
    event: Event


@dataclass(eq=False)
class Session:
    """One shard's numbered events, which can be replayed."""

    id: str
    shard: int
    shards: int
    identify: Payload
    connection: Connection | None
    events: list[str] = field(default_factory=list)
    late: list[LateEvent] = field(default_factory=list)
    resumed: int = 0

    def serves(self, guild_id: int) -> bool:
        """Return whether a guild belongs to this shard."""
        return (guild_id >> 22) % self.shards == self.shard

    def dispatch(self, event: str, data: Any, damage: Damage = same_text) -> None:
        """Send an event, possibly damaged, or keep it until the bot resumes."""
        numbered = json.dumps({"op": DISPATCH, "t": event, "s": len(self.events) + 1, "d": data})
        self.events.append(numbered)
        if self.connection is not None:
            self.connection.send_text(damage(numbered))

    def send(self, event: Event, fault: EventFault | None) -> None:
        """Send an event with its fault, and then the late events that are due."""
        due = self._due()
        if fault is None:
            self.dispatch(event.name, event.data)
        elif fault.late:
            self.late.append(LateEvent(fault.late, fault.changed(event)))
        else:
            self._dispatch_as(fault.changed(event), fault)
        for each in due:
            self.dispatch(each.name, each.data)

    def _dispatch_as(self, event: Event, fault: EventFault) -> None:
        for _ in range(fault.times):
            self.dispatch(event.name, event.data, fault.damage)

    def _due(self) -> list[Event]:
        for each in self.late:
            each.after -= 1
        due = [each.event for each in self.late if each.after == 0]
        self.late = [each for each in self.late if each.after]
        return due

    def resume(self, connection: Connection, seen: int) -> None:
        """Continue over another connection, starting with the missed events."""
        self.connection = connection
        self.resumed += 1
        for event in self.events[seen:]:
            connection.send_text(event)
