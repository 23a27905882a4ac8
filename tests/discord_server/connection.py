"""One WebSocket to the gateway."""

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

# No closing frame can have this code: it is what a client makes of a connection that broke off.
ABNORMAL = 1006


@dataclass(eq=False)
class Connection:
    """A socket with a queue before it, so that events can be sent from anywhere, in order."""

    socket: web.WebSocketResponse
    compress: Compress | None
    transport: asyncio.Transport | None = None
    session: Session | None = None
    closed_by_us: bool = False
    queue: asyncio.Queue[str | int | None] = field(default_factory=asyncio.Queue)
    deadline: asyncio.TimerHandle | None = None

    def send(self, payload: Payload) -> None:
        """Send something, as it is now."""
        self.send_text(json.dumps(payload))

    def send_text(self, text: str) -> None:
        """Send a frame, whatever is in it."""
        self.queue.put_nowait(text)

    def close(self, code: int) -> None:
        """Close the socket after all that was sent before; ABNORMAL breaks the connection off."""
        self.closed_by_us = True
        self.queue.put_nowait(code)

    def expect_heartbeat(self, within: float, code: int) -> None:
        """Close the socket unless the bot is heard again within so many seconds."""
        self._expect_nothing()
        self.deadline = asyncio.get_running_loop().call_later(within, self.close, code)

    def _expect_nothing(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()

    def finish(self) -> None:
        """Let the writer end."""
        self._expect_nothing()
        self.queue.put_nowait(None)

    async def write(self) -> None:
        """Write what is queued, until the end."""
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
