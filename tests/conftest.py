"""Fixtures of most tests: the real content, a real database, a clock that tests advance."""

import asyncio
import logging
import re
import shutil
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route
from discord.webhook.async_ import async_context
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy.engine import make_url

import leaks
import open_connections
from fakes import Bot, FakeClock, FakeNoticeSender
from postgres import database_url
from sample_data import insert_sample_data
from weekbot.content.library import Library
from weekbot.content.loading.folder import load_library
from weekbot.db.database import Database
from weekbot.runtime import log
from weekbot.store.deliveries import Deliveries
from weekbot.store.guilds import Guilds
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscriptions

CONTENT = Path(__file__).parents[1] / "content"


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


SLOW_FIXTURES = {"url", "browser", "server"}
SLOW_IMPORT = re.compile(
    r"^(from|import) (matrix|places|postgres|processes|running_bot|simulation|subprocess)\b", re.MULTILINE
)


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Mark as `quick` what needs no database, simulated Discord, browser or process."""
    slow_files = {path for path in {item.path for item in items} if SLOW_IMPORT.search(path.read_text("utf-8"))}
    for item in items:
        if item.path not in slow_files and not SLOW_FIXTURES.intersection(item.fixturenames):
            item.add_marker(pytest.mark.quick)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Capture what tests log in the format of the bot's own log."""
    logging_plugin: Any = session.config.pluginmanager.get_plugin("logging-plugin")
    logging_plugin.report_handler.setFormatter(log.formatter("console"))
    logging_plugin.caplog_handler.setLevel(logging.WARNING)
    log.quiet_libraries()


@pytest.fixture(autouse=True)
def log_everything() -> Iterator[None]:
    """Log at every level, and remove the handlers that a command has added for the standard error of its time."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    yield
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Search the test's log and output for secrets."""
    report = yield
    if leak := next(filter(None, (leaks.found(text) for _, text in report.sections)), None):
        report.outcome, report.longrepr = "failed", f"a secret was disclosed: … {leak} …"
    elif report.passed:
        report.sections.clear()
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    try:
        yield
    finally:
        tasks = open_connections.left_open()
    if tasks:
        pytest.fail("database connections were left open by:\n" + "\n".join(tasks), pytrace=False)


@pytest.fixture(autouse=True)
def search_process_output_for_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search the output of the processes that a test starts for secrets."""
    original = Process.communicate

    async def communicate(self: Process, data: bytes | None = None) -> tuple[bytes, bytes]:
        output = await original(self, data)
        leaks.require_none(*((each or b"").decode(errors="replace") for each in output))
        return output

    monkeypatch.setattr(Process, "communicate", communicate)


@pytest.fixture
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH: install chromium to try the pages")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def restore_discord_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the addresses after each test, because discord.py keeps a bot's addresses for the whole process."""
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)


@pytest.fixture(autouse=True)
def restore_discord_transport() -> Iterator[None]:
    """Restore the HTTP transport, because a simulation that fails while it stops leaves its own to later tests."""
    before = async_context.get()
    yield
    async_context.set(before)


@pytest.fixture(scope="session")
def library() -> Library:
    return load_library(CONTENT)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def _upgrade(url: str) -> None:
    database = Database(url)
    await database.upgrade()
    await database.close()


# Migrating a database takes longer than most tests, so each gets a copy of a template.


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "weekbot.db"
    asyncio.run(_upgrade(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def postgresql_template() -> Iterator[str]:
    """The template database's name."""
    with database_url() as url:
        asyncio.run(_upgrade(url))
        yield str(make_url(url).database)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an up-to-date database of either backend: tests must pass on both."""
    template = request.getfixturevalue(f"{request.param}_template")
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(template, tmp_path / 'weekbot.db')}"
    else:
        with database_url(template) as url:
            yield url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as database:
        yield database


@pytest.fixture
async def source(url: str, library: Library, clock: FakeClock) -> AsyncIterator[Database]:
    """A database with rows in every table."""
    await insert_sample_data(url, library, clock)
    async with Database(url) as database:
        yield database


@pytest.fixture
def subscriptions(database: Database) -> Subscriptions:
    return Subscriptions(database)


@pytest.fixture
def deliveries(database: Database) -> Deliveries:
    return Deliveries(database)


@pytest.fixture
def steps(database: Database) -> Steps:
    return Steps(database)


@pytest.fixture
def guilds(database: Database) -> Guilds:
    return Guilds(database)


@pytest.fixture
async def bot(library: Library, clock: FakeClock, url: str) -> AsyncIterator[Bot]:
    """weekbot's delivery with a fake sender, and the moderator's actions."""
    bot = Bot(url, library, clock)
    yield bot
    await bot.process.close()


@pytest.fixture
def notice_sender(bot: Bot) -> FakeNoticeSender:
    return bot.process.notice_sender
