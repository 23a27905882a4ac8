"""The gateway: sessions by shards over WebSockets."""

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

AS_IT_IS = EventFault("as it is")

PRIVILEGED_INTENTS = 1 << 1 | 1 << 8 | 1 << 15


class Op(IntEnum):
    """What a payload is for; 0 is an event."""

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
    """Why the gateway closes a connection."""

    GOING_AWAY = 1001
    UNKNOWN_ERROR = 4000
    UNKNOWN_OP = 4001
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    SESSION_TIMED_OUT = 4009
    INVALID_SHARD = 4010
    DISALLOWED_INTENTS = 4014


ENDS_SESSION = (1000, 1001)

# How late a heartbeat may come, in intervals.
PATIENCE = 1.5


@dataclass
class Gateway:
    """Tells the bot's shards what happens in the world.

    One that does not acknowledge plays dead: connections stay open, but a bot's heartbeats are not answered. One that
    is down takes no connections.
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

    def mangle(self, name: str, what: EventFault, times: float = 1) -> Planned[Event, EventFault]:
        """Let something happen to the next events whose name matches a regular expression."""
        plan = Planned[Event, EventFault](lambda event: bool(re.fullmatch(name, event.name)), what, times)
        self.events.pending.append(plan)
        return plan

    def inject(
        self, step: Step, what: HandshakeFault, times: float = 1, *, shard: int | None = None
    ) -> Planned[Handshake, HandshakeFault]:
        """Let something happen at the next steps of one kind, of all shards unless one is given."""

        def meant(handshake: Handshake) -> bool:
            return handshake.name == step and shard in (None, handshake.shard)

        plan = Planned(meant, what, times)
        self.handshakes.pending.append(plan)
        return plan

    def dispatch(self, guild_id: int, event: str, data: Payload) -> None:
        """Send an event to the sessions of a guild's shard."""
        for session in self.sessions.values():
            if session.hears(guild_id):
                self._tell(session, Event(event, data, guild_id, session.shard))

    def _tell(self, session: Session, event: Event) -> None:
        session.tell(event, self.events.take(event))

    def connected(self) -> list[Session]:
        """Return the sessions that have a connection."""
        return [session for session in self.sessions.values() if session.connection is not None]

    def complete(self) -> bool:
        """Tell whether all shards of a bot are connected."""
        connected = self.connected()
        present = {session.shard for session in connected}
        return any(present >= set(range(session.shards)) for session in connected)

    def close(self, code: int) -> list[Connection]:
        """Close all connections, and return them."""
        for connection in self.connections:
            connection.close(code)
        return list(self.connections)

    def reconnect(self) -> None:
        """Ask all connected bots to connect again and resume, as Discord does when it moves them."""
        for connection in self.connections:
            connection.send({"op": Op.RECONNECT, "d": None})

    def invalidate(self, *, resumable: bool) -> None:
        """Tell all connected bots that their session is invalid; unless resumable, it is forgotten."""
        for connection in self.connections:
            connection.send({"op": Op.INVALID_SESSION, "d": resumable})
        if not resumable:
            self.sessions.clear()

    @asynccontextmanager
    async def drop_every(self, seconds: float, code: int = Close.UNKNOWN_ERROR) -> AsyncIterator[None]:
        """Close all connections again and again, while the block runs."""

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
        self._greet(connection)
        try:
            await self._read(connection)
        finally:
            connection.finish()
            await writer
            self._leave(connection)
        return socket

    def _greet(self, connection: Connection) -> None:
        if not self._hindered(connection, Handshake(HELLO)):
            hello = Event(HELLO, {"heartbeat_interval": int(self.heartbeat_interval * 1000)})
            fault = self.events.take(hello) or AS_IT_IS
            for _ in range(fault.times):
                connection.send_text(fault.damage(json.dumps({"op": Op.HELLO, "d": fault.changed(hello).data})))
            self._await_heartbeat(connection)

    def _hindered(self, connection: Connection, step: Handshake) -> HandshakeFault | None:
        fault = self.handshakes.take(step)
        if fault is not None and fault.close is not None:
            connection.close(fault.close)
        elif fault is not None and fault.invalid is not None:
            connection.send({"op": Op.INVALID_SESSION, "d": fault.invalid})
        return fault

    def _await_heartbeat(self, connection: Connection) -> None:
        connection.expect_heartbeat(self.heartbeat_interval * PATIENCE, Close.SESSION_TIMED_OUT)

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
            connection.close(Close.AUTHENTICATION_FAILED)  # Discord even makes another token
        elif self._hindered(connection, Handshake("IDENTIFY", shard)):
            pass
        elif self.world.starts.too_soon(shard):
            connection.send({"op": Op.INVALID_SESSION, "d": False})
        else:
            session_id = f"session-{self.world.snowflakes.next()}"
            self._begin(connection, Session(session_id, shard, shards, identify, connection))

    def _begin(self, connection: Connection, session: Session) -> None:
        connection.session = session
        self.sessions[session.id] = session
        guilds = [guild for guild in self.world.joined_guilds() if session.hears(guild.id)]
        self._tell(session, Event("READY", self._ready(session, guilds), shard=session.shard))
        for guild in guilds:
            if guild.available:
                created = guild.create_payload() | {"unavailable": False}
                self._tell(session, Event("GUILD_CREATE", created, guild.id, session.shard))

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
        elif fault := self._hindered(connection, Handshake("RESUME", session.shard)):
            if fault.invalid is False:
                del self.sessions[session.id]
        else:
            connection.session = session
            session.resume(connection, resume["seq"])
            self._tell(session, Event("RESUMED", {}, shard=session.shard))
