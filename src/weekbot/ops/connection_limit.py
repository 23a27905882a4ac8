"""A limit on an HTTP server's connections, so that its clients can't use up the process's file descriptors."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

MOST_CONNECTIONS = 16
BACKLOG = 8  # accepted at once, before the oldest are dropped; the kernel lets the others wait
LONGEST_SECONDS = 15.0  # of a connection, from its first byte to its last: an answer takes two


class ConnectionLimit:
    """Makes a server's protocols. A new connection takes the place of the oldest, if possible of an idle one.

    Every connection is cut after `LONGEST_SECONDS`, whether its client sends nothing, or doesn't read the answer.
    """

    def __init__(self) -> None:
        self._answering: set[web.RequestHandler] = set()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keep the connection while its request is being answered, and close it then: who asks again connects again."""
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
        """Serve on all interfaces what was set up. Raises OSError if the port is taken."""
        loop, server = asyncio.get_running_loop(), runner.server
        if server is None:
            raise RuntimeError("there is a server after setup only")

        def accept() -> asyncio.Protocol:
            self._make_room(server)
            protocol = server()
            loop.call_later(LONGEST_SECONDS, _cut, protocol)
            return protocol

        return await loop.create_server(accept, port=port, backlog=BACKLOG)

    def _make_room(self, server: web.Server) -> None:
        """Drop the oldest connections, idle ones first."""
        open_ = [each for each in server.connections if each.transport and not each.transport.is_closing()]
        open_.sort(key=lambda each: each in self._answering)
        for protocol in open_[: max(0, len(open_) - MOST_CONNECTIONS + 1)]:
            _cut(protocol)


def _cut(protocol: web.RequestHandler) -> None:
    """Close the connection at once, although the client has not read all that was sent."""
    if protocol.transport:
        protocol.transport.abort()
