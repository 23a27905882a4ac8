"""What most tests start from: the real content, a real database in a file, a clock that stands still."""

import asyncio
import logging
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
from fakes import Bot, FakeBoard, FakeClock
from furnished import furnish
from postgres import database_url
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


def pytest_sessionstart(session: pytest.Session) -> None:
    """What a test logs is kept, searched and shown as the bot would have it in its log."""
    logging_plugin: Any = session.config.pluginmanager.get_plugin("logging-plugin")
    logging_plugin.report_handler.setFormatter(log.formatter("console"))
    logging_plugin.caplog_handler.setLevel(logging.WARNING)
    log.quiet_libraries()


@pytest.fixture(autouse=True)
def all_is_logged() -> Iterator[None]:
    """Also after a command has set up a log of its own, on what was standard error then."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    yield
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Search all that was logged at DEBUG, and written, for secrets."""
    report = yield
    if leak := next(filter(None, (leaks.found(text) for _, text in report.sections)), None):
        report.outcome, report.longrepr = "failed", f"a secret was told: … {leak} …"
    elif report.passed:
        report.sections.clear()
    return report


@pytest.fixture(autouse=True)
def processes_tell_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search all that the processes write which a test starts and reads to their end."""
    original = Process.communicate

    async def communicate(self: Process, data: bytes | None = None) -> tuple[bytes, bytes]:
        written = await original(self, data)
        leaks.require_none(*((each or b"").decode(errors="replace") for each in written))
        return written

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
def discords_own_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """discord.py keeps the addresses that a bot is given for the whole process: put them back after each test."""
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)


@pytest.fixture(autouse=True)
def discords_own_transport() -> Iterator[None]:
    """A simulation that fails in its end leaves its answer to webhooks and interactions to the tests after it."""
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


# To migrate a database takes longer than most tests: each gets a copy of one.


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "weekbot.db"
    asyncio.run(_upgrade(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def postgresql_template() -> Iterator[str]:
    """Its name."""
    with database_url() as url:
        asyncio.run(_upgrade(url))
        yield str(make_url(url).database)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of an up-to-date database of either kind: what holds for one must hold for both."""
    template = request.getfixturevalue(f"{request.param}_template")
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(template, tmp_path / 'weekbot.db')}"
    else:
        with database_url(template) as url:
            yield url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
async def source(url: str, library: Library, clock: FakeClock) -> AsyncIterator[Database]:
    """Something in every table."""
    await furnish(url, library, clock)
    database = Database(url)
    yield database
    await database.close()


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
    """weekbot's delivery over a small Discord, with its moderator."""
    bot = Bot(url, library, clock)
    yield bot
    await bot.process.close()


@pytest.fixture
def board(bot: Bot) -> FakeBoard:
    return bot.process.board
