"""A gateway session, which outlives its connections."""

from __future__ import annotations

from dataclasses import dataclass, field

from .connection import Connection
from .payload import Payload

DISPATCH = 0


@dataclass(eq=False)
class Session:
    """What one shard was told, numbered, so that it can be told again."""

    id: str
    shard: int
    shards: int
    identify: Payload
    connection: Connection | None
    events: list[Payload] = field(default_factory=list)
    resumed: int = 0

    def hears(self, guild_id: int) -> bool:
        """Tell whether a guild is this shard's."""
        return (guild_id >> 22) % self.shards == self.shard

    def dispatch(self, event: str, data: Payload) -> None:
        """Send an event, or keep it until the bot resumes."""
        numbered = {"op": DISPATCH, "t": event, "s": len(self.events) + 1, "d": data}
        self.events.append(numbered)
        if self.connection is not None:
            self.connection.send(numbered)

    def resume(self, connection: Connection, seen: int) -> None:
        """Go on over another connection, with what was missed first."""
        self.connection = connection
        self.resumed += 1
        for event in self.events[seen:]:
            connection.send(event)
        self.dispatch("RESUMED", {})
