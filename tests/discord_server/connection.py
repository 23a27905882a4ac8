"""A WebSocket connection to the gateway."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from .compression import Compress
from .payload import Payload

if TYPE_CHECKING:
    from .session import Session

# No close frame can have this code: clients use it for a connection that broke.
ABNORMAL = 1006


@dataclass(eq=False)
class Connection:
    """A socket with a queue, so that events can be sent from anywhere, in order."""

    socket: web.WebSocketResponse
    compress: Compress | None
    transport: asyncio.Transport | None = None
    session: Session | None = None
    closed_by_us: bool = False
    queue: asyncio.Queue[str | int | None] = field(default_factory=asyncio.Queue)
    deadline: asyncio.TimerHandle | None = None

    def send(self, payload: Payload) -> None:
        """Send a payload in its current state."""
        self.send_text(json.dumps(payload))

    def send_text(self, text: str) -> None:
        """Send a frame with any text."""
        self.queue.put_nowait(text)

    def close(self, code: int) -> None:
        """Close the socket after everything queued was sent; ABNORMAL aborts the connection."""
        self.closed_by_us = True
        self.queue.put_nowait(code)

    def expect_heartbeat(self, within: float, code: int) -> None:
        """Close the socket unless the bot sends a heartbeat within `within` seconds."""
        self._cancel_deadline()
        self.deadline = asyncio.get_running_loop().call_later(within, self.close, code)

    def _cancel_deadline(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()

    def finish(self) -> None:
        """Let `write` return."""
        self._cancel_deadline()
        self.queue.put_nowait(None)

    async def write(self) -> None:
        """Write the queue until `finish` or `close` is called."""
        while isinstance(item := await self.queue.get(), str):
            with suppress(ConnectionError):
                await self._write(item)
        if item == ABNORMAL and self.transport is not None:
            self.transport.abort()
        elif item is not None:
            await self.socket.close(code=item)

    async def _write(self, text: str) -> None:
        if self.compress is None:
            await self.socket.send_str(text)
        else:
            await self.socket.send_bytes(self.compress(text.encode()))
