"""The health server, which runs if WEEKBOT_HEALTH_PORT is set."""

import asyncio
import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

from weekbot.ops.metrics import Metrics
from weekbot.ops.readiness import Readiness
from weekbot.runtime.errors import WeekbotError

UNREADY = 503
SHUTDOWN_SECONDS = 2.0  # for the answers in progress when the bot stops
MOST_CONNECTIONS = 16
BACKLOG = 8  # accepted at once, before the oldest are dropped; the kernel lets the others wait
LONGEST_SECONDS = 15.0  # of a connection, even if its client sends or reads nothing; an answer takes two


@asynccontextmanager
async def serve_health(metrics: Metrics, readiness: Readiness, port: int | None) -> AsyncIterator[None]:
    """Serve `/live`, `/ready` and `/metrics` on all interfaces, if a port is set. Raises WeekbotError if it's taken."""
    if port is None:
        yield
        return
    limit = ConnectionLimit()
    runner = web.AppRunner(_application(metrics, readiness, limit), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        with closing(await limit.listen(runner, port)):
            yield
    finally:
        await runner.cleanup()
        await readiness.backlog.stop()


class ConnectionLimit:
    """Saves file descriptors: at the limit, a new connection takes the place of the oldest, if possible an idle one."""

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
        """Listen on all interfaces for a runner after its setup. Raises WeekbotError if the port is taken."""
        loop, server = asyncio.get_running_loop(), runner.server
        if server is None:
            raise RuntimeError("the runner has a server only after its setup")

        def accept() -> asyncio.Protocol:
            self._make_room(server)
            protocol = server()
            loop.call_later(LONGEST_SECONDS, _abort, protocol)
            return protocol

        try:
            return await loop.create_server(accept, port=port, backlog=BACKLOG)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise WeekbotError(f"WEEKBOT_HEALTH_PORT {port} cannot be used: {reason}. Choose another port.") from error

    def _make_room(self, server: web.Server) -> None:
        """Abort the oldest connections, idle ones first."""
        open_ = [each for each in server.connections if each.transport and not each.transport.is_closing()]
        open_.sort(key=lambda each: each in self._answering)
        for protocol in open_[: max(0, len(open_) - MOST_CONNECTIONS + 1)]:
            _abort(protocol)


def _abort(protocol: web.RequestHandler) -> None:
    if protocol.transport:
        protocol.transport.abort()


def _application(metrics: Metrics, readiness: Readiness, limit: ConnectionLimit) -> web.Application:
    async def live(_: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(_: web.Request) -> web.Response:
        report = await readiness.report()
        conditions = {name: {"met": each.met, "says": each.says} for name, each in report.conditions.items()}
        body = {"ready": report.ready, "conditions": conditions}
        return web.json_response(body, status=200 if report.ready else UNREADY)

    async def serve_metrics(_: web.Request) -> web.Response:
        report = await readiness.report()
        metrics.conditions({name: condition.met for name, condition in report.conditions.items()})
        if backlog := report.backlog:
            metrics.waiting(backlog.due, backlog.pending, report.longest_wait.total_seconds())
        else:
            metrics.waiting(*[math.nan] * 3)
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application(middlewares=[limit.middleware])
    application.add_routes([web.get("/live", live), web.get("/ready", ready), web.get("/metrics", serve_metrics)])
    return application
