"""What deploys weekbot: its settings are ones that there are, and the image's health check tells what `/ready` says."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from image import environment, instructions
from weekbot.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
SETTINGS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "deploy/weekbot.service"])
def test_each_setting_that_is_set_is_one(name: str) -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", (ROOT / name).read_text("utf-8")))
    assert named
    assert named <= SETTINGS


def test_the_steps_that_are_tried_without_docker_are_those_of_the_dockerfile() -> None:
    assert [word for word, _ in instructions(DOCKERFILE, "build")].count("RUN") == 2
    values = environment(DOCKERFILE, Path("/there"))
    assert values["WEEKBOT_DATABASE_URL"] == "sqlite:////there/data/weekbot.db"
    assert values["PATH"].startswith("/there/opt/weekbot/bin:")


async def healthy(port: int) -> bool:
    """What the image's health check says of this port."""
    [check] = [given for word, given in instructions(DOCKERFILE, "") if word == "HEALTHCHECK"]
    _python, *arguments = json.loads(check.partition(" CMD ")[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={**os.environ, "WEEKBOT_HEALTH_PORT": str(port)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait() == 0


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False), (404, False)])
async def test_the_health_check_tells_what_ready_says(status: int, well: bool) -> None:
    async def ready(_: web.Request) -> web.Response:
        return web.Response(status=status)

    application = web.Application()
    application.router.add_get("/ready", ready)
    async with TestServer(application) as server:
        assert await healthy(server.port or 0) is well


async def test_the_health_check_fails_where_nothing_answers() -> None:
    assert not await healthy(unused_port())
