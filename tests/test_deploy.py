"""Deployment files: they use existing settings, and the image's health check follows `/ready`."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

import weekbot.setting_sources
from image import environment, instructions
from weekbot.setting_sources import DEFAULT_PREFIX, PREFIX
from weekbot.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
SETTINGS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "deploy/weekbot.service"])
def test_each_setting_exists(name: str) -> None:
    text = (ROOT / name).read_text("utf-8").replace(DEFAULT_PREFIX, PREFIX)
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", text))
    assert named
    assert named <= SETTINGS


def test_the_dockerfile_is_parsed_for_tests_without_docker() -> None:
    assert [word for word, _ in instructions(DOCKERFILE, "build")].count("RUN") == 2
    values = environment(DOCKERFILE, Path("/there"))
    assert values["WEEKBOT_DEFAULT_DATABASE_URL"] == "sqlite:////there/data/weekbot.db"
    assert values["PATH"].startswith("/there/opt/weekbot/bin:")


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Set the image's environment variables, and return its /run/secrets."""
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    for name, value in environment(DOCKERFILE, Path("/")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(weekbot.setting_sources, "SECRETS", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_image_stores_its_database_in_its_volume(image: Path) -> None:
    assert load_settings().database_url.endswith("/data/weekbot.db")
    assert load_settings().health_port == 9464


def test_a_secret_file_overrides_the_images_settings(image: Path) -> None:
    (image / "WEEKBOT_DATABASE_URL").write_text("postgresql://postgres/weekbot\n")
    (image / "WEEKBOT_HEALTH_PORT").write_text("8080\n")
    assert load_settings().database_url == "postgresql://postgres/weekbot"
    assert load_settings().health_port == 8080


async def healthy(port: int) -> bool:
    """Run the image's health check for this port, and return whether it succeeds."""
    [check] = [given for word, given in instructions(DOCKERFILE, "") if word == "HEALTHCHECK"]
    _python, *arguments = json.loads(check.partition(" CMD ")[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={**os.environ, "WEEKBOT_HEALTH_PORT": str(port)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait() == 0


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False), (404, False)])
async def test_the_health_check_follows_ready(status: int, is_healthy: bool) -> None:
    async def ready(_: web.Request) -> web.Response:
        return web.Response(status=status)

    application = web.Application()
    application.router.add_get("/ready", ready)
    async with TestServer(application) as server:
        assert await healthy(server.port or 0) is is_healthy


async def test_the_health_check_fails_without_a_server() -> None:
    assert not await healthy(unused_port())
