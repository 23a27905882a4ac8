"""A limit on an HTTP server's connections, so that its clients can't use up the process's file descriptors."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

MOST_CONNECTIONS = 16
BACKLOG = 8  # accepted at once, before the oldest are dropped; the kernel lets the others wait
LONGEST_SECONDS = 15.0  # of a connection, even if its client sends or reads nothing; an answer takes two


class ConnectionLimit:
    """Makes a server's protocols. A new connection takes the place of the oldest, if possible of an idle one."""

    def __init__(self) -> None:
        self._answering: set[web.RequestHandler] = set()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Protect the connection while its request is being answered, and close it afterwards."""
        self._answering.add(request.protocol)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.force_close()
            raise
        finally:
            self._answering.discard(request.protocol)
        response.force_close()
        return response

    async def listen(self, runner: web.AppRunner, port: int) -> asyncio.Server:
        """Listen on all interfaces for a runner after its setup. Raises OSError if the port is taken."""
        loop, server = asyncio.get_running_loop(), runner.server
        if server is None:
            raise RuntimeError("the runner has a server only after its setup")

        def accept() -> asyncio.Protocol:
            self._make_room(server)
            protocol = server()
            loop.call_later(LONGEST_SECONDS, _abort, protocol)
            return protocol

        return await loop.create_server(accept, port=port, backlog=BACKLOG)

    def _make_room(self, server: web.Server) -> None:
        """Abort the oldest connections, idle ones first."""
        open_ = [each for each in server.connections if each.transport and not each.transport.is_closing()]
        open_.sort(key=lambda each: each in self._answering)
        for protocol in open_[: max(0, len(open_) - MOST_CONNECTIONS + 1)]:
            _abort(protocol)


def _abort(protocol: web.RequestHandler) -> None:
    if protocol.transport:
        protocol.transport.abort()
