"""The gateway: a session for each shard over WebSockets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from aiohttp import WSMsgType, web

from .changes import Changes
from .compression import compressor
from .connection import Connection
from .event_fault import HELLO, Event, EventFault
from .fault import Faults, Planned
from .guild import Guild
from .handshake_fault import Handshake, HandshakeFault, Step
from .payload import Payload
from .session import Session
from .world import World

UNCHANGED = EventFault("as it is")

PRIVILEGED_INTENTS = 1 << 1 | 1 << 8 | 1 << 15


class Op(IntEnum):
    """The opcode of a payload; 0 is an event."""

    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE = 3
    VOICE_STATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


class Close(IntEnum):
    """The gateway's close codes."""

    GOING_AWAY = 1001
    UNKNOWN_ERROR = 4000
    UNKNOWN_OP = 4001
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    SESSION_TIMED_OUT = 4009
    INVALID_SHARD = 4010
    DISALLOWED_INTENTS = 4014


ENDS_SESSION = (1000, 1001)

# The time limit of a heartbeat, in intervals.
MAX_INTERVALS = 1.5


@dataclass
class Gateway:
    """Sends the world's events to the bot's shards.

    Without `acknowledges`, connections stay open, but a bot's heartbeats aren't acknowledged. If it is `down`, it
    accepts no connections.
    """

    world: World
    changes: Changes
    heartbeat_interval: float = 41.25
    acknowledges: bool = True
    down: bool = False
    events: Faults[Event, EventFault] = field(default_factory=Faults)
    handshakes: Faults[Handshake, HandshakeFault] = field(default_factory=Faults)
    sessions: dict[str, Session] = field(default_factory=dict)
    connections: set[Connection] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.world.listeners.append(self.dispatch)

    def mangle(self, name: str, fault: EventFault, times: float = 1) -> Planned[Event, EventFault]:
        """Inject a fault into the next events whose name matches a regular expression."""
        plan = Planned[Event, EventFault](lambda event: bool(re.fullmatch(name, event.name)), fault, times)
        self.events.pending.append(plan)
        return plan

    def inject(
        self, step: Step, fault: HandshakeFault, times: float = 1, *, shard: int | None = None
    ) -> Planned[Handshake, HandshakeFault]:
        """Inject a fault into the next handshake steps of one kind. Default: of all shards."""

        def matches(handshake: Handshake) -> bool:
            return handshake.name == step and shard in (None, handshake.shard)

        plan = Planned(matches, fault, times)
        self.handshakes.pending.append(plan)
        return plan

    def dispatch(self, guild_id: int, event: str, data: Payload) -> None:
        """Send an event to the sessions of a guild's shard."""
        for session in self.sessions.values():
            if session.serves(guild_id):
                self._send(session, Event(event, data, guild_id, session.shard))

    def _send(self, session: Session, event: Event) -> None:
        session.send(event, self.events.take(event))

    def connected(self) -> list[Session]:
        """Return the sessions that have a connection."""
        return [session for session in self.sessions.values() if session.connection is not None]

    def complete(self) -> bool:
        """Return whether all shards of a bot are connected."""
        connected = self.connected()
        present = {session.shard for session in connected}
        return any(present >= set(range(session.shards)) for session in connected)

    def close(self, code: int) -> list[Connection]:
        """Close all connections, and return them."""
        for connection in self.connections:
            connection.close(code)
        return list(self.connections)

    def reconnect(self) -> None:
        """Ask all connected bots to reconnect and resume, as Discord does to rebalance them."""
        for connection in self.connections:
            connection.send({"op": Op.RECONNECT, "d": None})

    def invalidate(self, *, resumable: bool) -> None:
        """Invalidate the sessions of all connected bots; unless resumable, they are forgotten."""
        for connection in self.connections:
            connection.send({"op": Op.INVALID_SESSION, "d": resumable})
        if not resumable:
            self.sessions.clear()

    @asynccontextmanager
    async def drop_every(self, seconds: float, code: int = Close.UNKNOWN_ERROR) -> AsyncIterator[None]:
        """Close all connections repeatedly during the block."""

        async def drop() -> None:
            while True:
                await asyncio.sleep(seconds)
                self.close(code)

        dropping = asyncio.create_task(drop())
        try:
            yield
        finally:
            dropping.cancel()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it is closed."""
        date = {"Date": self.world.date.value}
        if self.down:
            return web.Response(status=503, headers=date)
        socket = web.WebSocketResponse(compress=False, timeout=1)
        socket.headers.update(date)
        await socket.prepare(request)
        connection = Connection(socket, compressor(request.query.get("compress")), request.transport)
        self.connections.add(connection)
        writer = asyncio.create_task(connection.write())
        self._send_hello(connection)
        try:
            await self._read(connection)
        finally:
            connection.finish()
            await writer
            self._leave(connection)
        return socket

    def _send_hello(self, connection: Connection) -> None:
        if not self._apply_fault(connection, Handshake(HELLO)):
            hello = Event(HELLO, {"heartbeat_interval": int(self.heartbeat_interval * 1000)})
            fault = self.events.take(hello) or UNCHANGED
            for _ in range(fault.times):
                connection.send_text(fault.damage(json.dumps({"op": Op.HELLO, "d": fault.changed(hello).data})))
            self._await_heartbeat(connection)

    def _apply_fault(self, connection: Connection, step: Handshake) -> HandshakeFault | None:
        fault = self.handshakes.take(step)
        if fault is not None and fault.close is not None:
            connection.close(fault.close)
        elif fault is not None and fault.invalid is not None:
            connection.send({"op": Op.INVALID_SESSION, "d": fault.invalid})
        return fault

    def _await_heartbeat(self, connection: Connection) -> None:
        connection.expect_heartbeat(self.heartbeat_interval * MAX_INTERVALS, Close.SESSION_TIMED_OUT)

    def _heartbeat(self, connection: Connection) -> None:
        self._await_heartbeat(connection)
        if self.acknowledges:
            connection.send({"op": Op.HEARTBEAT_ACK})

    async def _read(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is WSMsgType.TEXT:
                self._receive(connection, json.loads(message.data))
                self.changes.notify()

    def _leave(self, connection: Connection) -> None:
        self.connections.discard(connection)
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
            if connection.socket.close_code in ENDS_SESSION and not connection.closed_by_us:
                self.sessions.pop(session.id, None)
        self.changes.notify()

    def _receive(self, connection: Connection, payload: Payload) -> None:
        match payload["op"]:
            case Op.HEARTBEAT:
                self._heartbeat(connection)
            case Op.IDENTIFY:
                self._identify(connection, payload["d"])
            case Op.RESUME:
                self._resume(connection, payload["d"])
            case Op.PRESENCE | Op.VOICE_STATE | Op.REQUEST_MEMBERS if connection.session is not None:
                pass
            case Op.PRESENCE | Op.VOICE_STATE | Op.REQUEST_MEMBERS:
                connection.close(Close.NOT_AUTHENTICATED)
            case _:
                connection.close(Close.UNKNOWN_OP)

    def _identify(self, connection: Connection, identify: Payload) -> None:
        shard, shards = identify.get("shard", (0, 1))
        if identify["token"] != self.world.token:
            connection.close(Close.AUTHENTICATION_FAILED)
        elif not 0 <= shard < shards:
            connection.close(Close.INVALID_SHARD)
        elif identify["intents"] & PRIVILEGED_INTENTS:
            connection.close(Close.DISALLOWED_INTENTS)
        elif not self.world.starts.remaining:
            connection.close(Close.AUTHENTICATION_FAILED)  # Discord even resets the token
        elif self._apply_fault(connection, Handshake("IDENTIFY", shard)):
            pass
        elif self.world.starts.too_soon(shard):
            connection.send({"op": Op.INVALID_SESSION, "d": False})
        else:
            session_id = f"session-{self.world.snowflakes.next()}"
            self._begin(connection, Session(session_id, shard, shards, identify, connection))

    def _begin(self, connection: Connection, session: Session) -> None:
        connection.session = session
        self.sessions[session.id] = session
        guilds = [guild for guild in self.world.joined_guilds() if session.serves(guild.id)]
        self._send(session, Event("READY", self._ready(session, guilds), shard=session.shard))
        for guild in guilds:
            if guild.available:
                created = guild.create_payload() | {"unavailable": False}
                self._send(session, Event("GUILD_CREATE", created, guild.id, session.shard))

    def _ready(self, session: Session, guilds: Iterable[Guild]) -> Payload:
        return {
            "guilds": [guild.unavailable_payload() for guild in guilds],
            "v": 10,
            "user": self.world.bot.own_payload(),
            "session_id": session.id,
            "resume_gateway_url": self.world.gateway_url,
            "shard": [session.shard, session.shards],
            "application": {"id": str(self.world.application.id), "flags": 0},
        }

    def _resume(self, connection: Connection, resume: Payload) -> None:
        session = self.sessions.get(resume["session_id"])
        if resume["token"] != self.world.token:
            connection.close(Close.AUTHENTICATION_FAILED)
        elif session is None or resume["seq"] is None or resume["seq"] > len(session.events):
            connection.send({"op": Op.INVALID_SESSION, "d": False})
        elif fault := self._apply_fault(connection, Handshake("RESUME", session.shard)):
            if fault.invalid is False:
                del self.sessions[session.id]
        else:
            connection.session = session
            session.resume(connection, resume["seq"])
            self._send(session, Event("RESUMED", {}, shard=session.shard))
