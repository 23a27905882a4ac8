"""What the bot tells of itself over HTTP, where WEEKBOT_HEALTH_PORT is set."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from weekbot.connection_limit import ConnectionLimit
from weekbot.errors import WeekbotError
from weekbot.metrics import Metrics
from weekbot.readiness import Readiness, Report

UNREADY = 503
LAST_ANSWERS_SECONDS = 2.0  # for what is being answered when the bot stops


@asynccontextmanager
async def telling(metrics: Metrics, readiness: Readiness, port: int | None) -> AsyncIterator[None]:
    """Serve `/live`, `/ready` and `/metrics` on all interfaces until the block ends, nothing where no port is set.

    Raises WeekbotError where the port is taken.
    """
    if port is None:
        yield
        return
    limit = ConnectionLimit()
    runner = web.AppRunner(
        _application(metrics, readiness, limit), access_log=None, shutdown_timeout=LAST_ANSWERS_SECONDS
    )
    await runner.setup()
    try:
        async with _listening(limit, runner, port):
            yield
    finally:
        await runner.cleanup()
        await readiness.backlog.stop()


@asynccontextmanager
async def _listening(limit: ConnectionLimit, runner: web.AppRunner, port: int) -> AsyncIterator[None]:
    try:
        server = await limit.listen(runner, port)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise WeekbotError(f"WEEKBOT_HEALTH_PORT {port} cannot be used: {reason}. Choose another port.") from error
    try:
        yield
    finally:
        server.close()


def _application(metrics: Metrics, readiness: Readiness, limit: ConnectionLimit) -> web.Application:
    async def live(_: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(_: web.Request) -> web.Response:
        report = await readiness.report()
        return web.json_response(_body(report), status=200 if report.ready else UNREADY)

    async def serve_metrics(_: web.Request) -> web.Response:
        _publish(metrics, await readiness.report())
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application(middlewares=[limit.middleware])
    application.router.add_get("/live", live)
    application.router.add_get("/ready", ready)
    application.router.add_get("/metrics", serve_metrics)
    return application


def _body(report: Report) -> dict[str, object]:
    conditions = {name: {"met": each.met, "says": each.says} for name, each in report.conditions.items()}
    return {"ready": report.ready, "conditions": conditions}


def _publish(metrics: Metrics, report: Report) -> None:
    metrics.conditions({name: condition.met for name, condition in report.conditions.items()})
    if backlog := report.backlog:
        metrics.waiting(backlog.due, backlog.pending, report.longest_wait.total_seconds())
    else:
        metrics.waiting(*[float("nan")] * 3)
