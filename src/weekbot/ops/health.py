"""The health server, which runs if WEEKBOT_HEALTH_PORT is set."""

import asyncio
import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from weekbot.ops.connection_limit import ConnectionLimit
from weekbot.ops.metrics import Metrics
from weekbot.ops.readiness import Readiness
from weekbot.runtime.errors import WeekbotError

UNREADY = 503
SHUTDOWN_SECONDS = 2.0  # for the answers in progress when the bot stops


@asynccontextmanager
async def serve_health(metrics: Metrics, readiness: Readiness, port: int | None) -> AsyncIterator[None]:
    """Serve `/live`, `/ready` and `/metrics` on all interfaces, if a port is set. Raises WeekbotError if it's taken."""
    if port is None:
        yield
        return
    limit = ConnectionLimit()
    application = _application(metrics, readiness, limit)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        with closing(await _listen(limit, runner, port)):
            yield
    finally:
        await runner.cleanup()
        await readiness.backlog.stop()


async def _listen(limit: ConnectionLimit, runner: web.AppRunner, port: int) -> asyncio.Server:
    try:
        return await limit.listen(runner, port)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise WeekbotError(f"WEEKBOT_HEALTH_PORT {port} cannot be used: {reason}. Choose another port.") from error


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
    for path, handler in (("/live", live), ("/ready", ready), ("/metrics", serve_metrics)):
        application.router.add_get(path, handler)
    return application
