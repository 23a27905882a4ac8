"""A lookup shows when its topic was posted in the channel, and doesn't wait for a database that hangs."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from discord_server import Interaction
from fakes import FakeClock
from running_bot import Place, running_bot
from simulation import simulated
from weekbot.bot.cards import custom_ids
from weekbot.bot.channel_ref import ChannelRef
from weekbot.bot.footnotes import Footnotes
from weekbot.bot.searches import MAX_PENDING
from weekbot.content.library import Library
from weekbot.domain.deliveries import Delivery

HERE = ChannelRef(1)


class HangingPosts:
    """The posts of a database that doesn't respond until it's `back`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.back = asyncio.Event()
        self.queries = 0
        self.error = error

    async def topics_of(self, channel_id: int) -> set[str]:
        self.queries += 1
        if self.error:
            raise self.error
        await self.back.wait()
        return set()

    async def last_of_topic(self, channel_id: int, names: Collection[str]) -> Delivery | None:
        raise AssertionError("nothing was posted")


async def same_channel(channel_id: int, _: int | None) -> int:
    return channel_id


async def test_hanging_queries_are_limited_and_logged_once(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    posts = HangingPosts()
    footnotes, flask = Footnotes(posts, same_channel), library.topics["flask"]
    assert [await footnotes.latest_post(library, flask, HERE) for _ in range(MAX_PENDING + 5)] == [None] * (
        MAX_PENDING + 5
    )
    assert posts.queries == MAX_PENDING
    assert [each.getMessage() for each in caplog.records] == [
        "lookups are answered without a footnote: the database takes too long"
    ]
    await footnotes.stop()


async def test_a_problem_is_logged_again_after_a_recovery(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    posts = HangingPosts()
    footnotes, flask = Footnotes(posts, same_channel), library.topics["flask"]
    await footnotes.latest_post(library, flask, HERE)
    posts.back.set()
    await footnotes.latest_post(library, flask, HERE)
    posts.error = ValueError("nonsense")
    await footnotes.latest_post(library, flask, HERE)
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
async def place(folder: Path) -> AsyncIterator[Place]:
    async with running_bot(folder) as place:
        yield place


LOOKUPS: list[tuple[str, dict[str, str]]] = [
    ("framework", {"name": "flask"}),
    ("compare", {"first": "flask", "second": "django"}),
    ("topic show", {"name": "flask"}),
    ("topic random", {}),
    ("topic list", {}),
    ("help", {}),
]


async def look_up(place: Place) -> list[Interaction]:
    """Use every command and button that shows a topic, and return the responses."""
    server, channel = place.server, place.channel
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


async def test_lookups_work_while_the_database_hangs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    posts = HangingPosts()
    for name in ("topics_of", "last_of_topic"):
        monkeypatch.setattr(place.app.repositories.deliveries, name, getattr(posts, name))
    assert_looked_up(await look_up(place))
    assert posts.queries
    assert not posts.back.is_set()


async def test_lookups_work_without_the_databases_folder(place: Place, folder: Path) -> None:
    await place.server.interact(place.channel, "weekly subscribe")
    await place.app.repositories.deliveries._database.engine.dispose()
    shutil.move(folder, folder.with_name("elsewhere"))
    assert_looked_up(await look_up(place))


async def test_a_lookup_shows_when_its_topic_was_posted_in_the_channel(tmp_path: Path, clock: FakeClock) -> None:
    async with simulated(tmp_path, clock) as simulation:
        await simulation.slash("weekly subscribe", track="web")
        await simulation.slash("weekly post")
        assert "Posted in this channel" in (await simulation.slash("framework", name="flask")).text
