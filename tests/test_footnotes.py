"""A lookup says when its channel had the topic, and doesn't wait for a database that says nothing."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from conftest import CONTENT
from discord_server import Channel, DiscordServer, Interaction
from fakes import FakeClock
from places import app_online
from simulation import simulated
from weekbot.app import App, build
from weekbot.bot import custom_ids
from weekbot.bot.client import use_addresses
from weekbot.bot.footnotes import MOST_PENDING, Footnotes
from weekbot.clock import SystemClock
from weekbot.content.library import Library
from weekbot.settings import Settings
from weekbot.store.delivery import Delivery


class HangingPosts:
    """Of a database that says nothing until it is `back`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.back = asyncio.Event()
        self.asked = 0
        self.error = error

    async def topics_of(self, channel_id: int) -> set[str]:
        self.asked += 1
        if self.error:
            raise self.error
        await self.back.wait()
        return set()

    async def last_of_topic(self, channel_id: int, names: Collection[str]) -> Delivery | None:
        raise AssertionError("nothing was posted")


async def test_searches_that_hang_are_few_and_logged_once(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    posts = HangingPosts()
    footnotes, flask = Footnotes(posts), library.topics["flask"]
    assert [await footnotes.of(library, flask, 1) for _ in range(MOST_PENDING + 5)] == [None] * (MOST_PENDING + 5)
    assert posts.asked == MOST_PENDING
    assert [each.getMessage() for each in caplog.records] == [
        "lookups are answered without a footnote: the database takes too long"
    ]
    await footnotes.stop()


async def test_trouble_is_logged_again_after_a_time_without(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    posts = HangingPosts()
    footnotes, flask = Footnotes(posts), library.topics["flask"]
    await footnotes.of(library, flask, 1)
    posts.back.set()
    await footnotes.of(library, flask, 1)
    posts.error = ValueError("nonsense")
    await footnotes.of(library, flask, 1)
    assert [each.getMessage().partition(": ")[2] for each in caplog.records] == [
        "the database takes too long",
        "nonsense",
    ]
    await footnotes.stop()


# The whole bot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
async def app(folder: Path) -> AsyncIterator[App]:
    async with build(
        Settings(database_url=f"sqlite:///{folder / 'weekbot.db'}", content_dir=CONTENT), SystemClock()
    ) as app:
        yield app


@pytest.fixture
async def server(app: App) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        server.changes.timeout = 5
        use_addresses(server.api_url, server.gateway_url)
        server.add_guild("Pythonistas").add_text_channel("weekly")
        async with app.client, app_online(app, server):
            yield server


@pytest.fixture
def channel(server: DiscordServer) -> Channel:
    [guild] = server.world.guilds.values()
    return next(iter(guild.channels.values()))


LOOKUPS: list[tuple[str, dict[str, str]]] = [
    ("framework", {"name": "flask"}),
    ("compare", {"first": "flask", "second": "django"}),
    ("topic show", {"name": "flask"}),
    ("topic random", {}),
    ("topic list", {}),
    ("help", {}),
]


async def looked_up(server: DiscordServer, channel: Channel) -> list[Interaction]:
    """By every command and button that leads to a topic."""
    answers = [await server.interact(channel, command, options) for command, options in LOOKUPS]
    message = channel.post(server.world.bot, {"content": "an older answer"})
    pressed = [
        (custom_ids.more("0" * 24, "flask"), None),
        (custom_ids.topic("flask"), None),
        (custom_ids.OPEN, ["flask"]),
    ]
    return answers + [await server.click(message, custom_id, values, unchecked=True) for custom_id, values in pressed]


def assert_looked_up(answers: list[Interaction]) -> None:
    for answer in answers:
        assert "##" in answer.text
        assert "my database" not in answer.text


async def test_lookups_are_answered_while_the_database_hangs(
    server: DiscordServer, channel: Channel, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts = HangingPosts()
    for name in ("topics_of", "last_of_topic"):
        monkeypatch.setattr(app.services.deliveries, name, getattr(posts, name))
    assert_looked_up(await looked_up(server, channel))
    assert posts.asked
    assert not posts.back.is_set()


async def test_lookups_are_answered_though_the_databases_folder_is_gone(
    server: DiscordServer, channel: Channel, app: App, folder: Path
) -> None:
    await server.interact(channel, "weekly subscribe")
    await app.services.deliveries._database.engine.dispose()
    shutil.move(folder, folder.with_name("elsewhere"))
    assert_looked_up(await looked_up(server, channel))


async def test_a_lookup_says_when_its_channel_had_the_topic(tmp_path: Path, clock: FakeClock) -> None:
    async with simulated(tmp_path, clock) as simulation:
        await simulation.slash("weekly subscribe", track="web")
        await simulation.slash("weekly post")
        assert "This channel had it" in (await simulation.slash("framework", name="flask")).text
