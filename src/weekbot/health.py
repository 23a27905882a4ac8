"""What the bot tells of itself over HTTP, where WEEKBOT_HEALTH_PORT is set."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from weekbot.errors import WeekbotError
from weekbot.metrics import Metrics


@asynccontextmanager
async def telling(metrics: Metrics, port: int | None) -> AsyncIterator[None]:
    """Serve `/metrics` on all interfaces until the block ends, nothing where no port is set.

    Raises WeekbotError where the port is taken.
    """
    if port is None:
        yield
        return
    runner = web.AppRunner(_application(metrics), access_log=None)
    await runner.setup()
    try:
        await _listen(runner, port)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, port=port).start()
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise WeekbotError(f"WEEKBOT_HEALTH_PORT {port} cannot be used: {reason}. Choose another one.") from error


def _application(metrics: Metrics) -> web.Application:
    async def serve_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.router.add_get("/metrics", serve_metrics)
    return application
