"""Two bots with one token and two databases, one of which is a copy: each channel has one post a slot."""

import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from discord_server import Channel, Forum
from weekbot.content.library import Library
from weekbot.content.tracks import EVERYTHING
from weekbot.db.database import Database
from weekbot.domain import subscription_rules
from weekbot.domain.schedule import WEEK
from weekbot.store.steps import STRAYS_AFTER
from weekbot.store.subscriptions import Subscriptions

from .harness import POST_MARK, SLOT, Place, place_in

pytestmark = pytest.mark.chaos

SLOTS = 4
TEXT_CHANNELS, FORUMS = 30, 10
LATENCY = 0.1  # so that both have requests in flight at any moment


@dataclass
class TwoBots:
    """The places of both bots, with one Discord and two databases. `ports` are those of the health servers."""

    first: Place
    second: Place
    ports: tuple[int, int]

    @property
    def places(self) -> tuple[Place, Place]:
        return self.first, self.second

    @property
    def text_channels(self) -> list[Channel]:
        return [channel for channel in self.first.channels if not isinstance(channel, Forum)]

    @property
    def forums(self) -> list[Channel]:
        return [channel for channel in self.first.channels if isinstance(channel, Forum)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        bots = [
            await place.start(WEEKBOT_HEALTH_PORT=str(port))
            for place, port in zip(self.places, self.ports, strict=True)
        ]
        connected = self.first.server.gateway.connected
        await self.first.server.until(lambda: len(connected()) == len(bots), "both bots")
        yield
        assert [await bot.stop() for bot in bots] == [0, 0], self.first.log[-2000:]

    async def slot(self, number: int) -> None:
        slot = SLOT + number * WEEK
        self.first.clock.start(slot)
        for place in self.places:
            await place.settled(slot)

    async def remove_duplicates(self, number: int) -> None:
        self.first.clock.advance(seconds=STRAYS_AFTER.total_seconds() + 60)
        for place in self.places:
            while not await place.ledger.is_settled(SLOT + number * WEEK, including_duplicates=True):
                await self.first.minutes(1)

    def posts(self, channels: list[Channel]) -> Counter[int]:
        """Count the channels by their number of posts."""
        return Counter(len(self.first.posts(channel)) for channel in channels)

    async def conditions(self, port: int) -> dict[str, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/ready") as answer:
            return {name: each["says"] for name, each in (await answer.json())["conditions"].items()}

    async def metrics(self, port: int) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            return await answer.text()


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[TwoBots]:
    file, copy = tmp_path / "weekbot.db", tmp_path / "old-host.db"
    async with place_in(tmp_path, Random(1), f"sqlite:///{file}") as place:
        [guild] = place.add_channels(guilds=1, channels=TEXT_CHANNELS)
        place.channels += [guild.add_forum(f"showcase-{number}") for number in range(FORUMS)]
        await place.subscribe(place.channels[:20])
        await place.subscribe(place.channels[20:25], publish=True)
        await place.subscribe(place.channels[25:30], thread=True, pin=True)
        await place.subscribe(place.channels[TEXT_CHANNELS:])
        await place.database.close()
        shutil.copy(file, copy)
        url = f"sqlite:///{copy}"
        async with Database(url) as database:
            other = replace(place, database=database, database_url=url)
            yield TwoBots(place, other, (unused_port(), unused_port()))


def topics(place: Place, channel: Channel) -> list[str]:
    ids = [custom_id for post in place.posts(channel) for custom_id in post.custom_ids]
    return [custom_id.rpartition(":")[2] for custom_id in ids if custom_id.startswith(POST_MARK)]


async def test_two_bots_with_two_databases_post_once_a_slot(two: TwoBots, library: Library) -> None:
    place, slugs = two.first, library.tracks[EVERYTHING].topics
    await Subscriptions(two.second.database).change(
        place.channels[0].id, lambda now: subscription_rules.choose(now, slugs[7])
    )
    place.server.latency = LATENCY
    doubled = list[int]()
    async with two.running():
        for number in range(SLOTS):
            await two.slot(number)
            assert two.posts(two.text_channels) == {number + 1: TEXT_CHANNELS}
            doubled.append(sum(len(place.posts(forum)) > number + 1 for forum in two.forums))
            await two.remove_duplicates(number)
            assert two.posts(two.forums) == {number + 1: FORUMS}
        reported = [(await two.conditions(port))["token"] for port in two.ports]
        counted = [await two.metrics(port) for port in two.ports]
        doctors = [await each.command("doctor") for each in two.places]
    print(f"of {FORUMS} forums had two posts for five minutes, slot by slot: {doubled}")
    print(
        *reported,
        *(line for each in counted for line in each.splitlines() if "token_used_elsewhere_total{" in line),
        sep="\n",
    )
    print(*(line for each in doctors for line in each.splitlines() if "token" in line), sep="\n")

    for channel in place.channels:
        posted = topics(place, channel)
        assert len(set(posted)) == SLOTS
        assert set(posted) <= {*slugs[:SLOTS], slugs[7]}
    for each in two.places:
        entries = await each.ledger.entries()
        assert {entry.state for entry in entries} == {"sent"}
        recorded = {(entry.channel_id, entry.slot): (entry.topic, entry.message_id) for entry in entries}
        shown = {
            (channel.id, SLOT + number * WEEK): (topic, post.id)
            for channel in place.channels
            for number, (topic, post) in enumerate(zip(topics(place, channel), place.posts(channel), strict=True))
        }
        assert recorded == shown

    # At least one of them found posts of the other one.
    assert any("it posts weekly topics from a database of its own" in each for each in reported)
    assert "another program uses the bot's token; it posts weekly topics" in place.log
    assert any("! warning  token" in each and "Another program uses the bot's token" in each for each in doctors)


async def test_a_response_by_the_other_bot_is_detected(two: TwoBots) -> None:
    """Discord accepts the first response and refuses the second one."""
    async with two.running():
        for _ in range(3):
            answer = await two.first.server.interact(two.first.channels[0], "framework", {"name": "flask"})
            assert "Flask" in answer.text
        reported = [(await two.conditions(port))["token"] for port in two.ports]
    assert any("it answered a member in weekbot's place" in each for each in reported)
