"""The first message in a server."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

import places
from discord_server import Channel, Permission
from fakes import FakeClock
from places import online
from weekbot.bot.welcome import Welcome
from weekbot.db.database import Database
from weekbot.store.guilds import Guilds

MESSAGES = "/channels/{channel_id}/messages"
SENDING = r"/channels/\d+/messages$"


@dataclass
class Place(places.Place):
    """With a system channel."""

    system: Channel
    welcome: Welcome

    async def greet(self) -> None:
        await self.receive_events()
        await self.welcome.greet(self.known)

    def said(self) -> list[str]:
        return [message.text for message in self.system.history()]


@pytest.fixture
async def place(clock: FakeClock, database: Database) -> AsyncIterator[Place]:
    async with online(clock) as place:
        system = await place.text("system")
        place.guild.system_channel = system
        place.guild.emit("GUILD_UPDATE", place.guild.payload())
        welcome = Welcome(Guilds(database), clock)
        yield Place(place.server, place.guild, place.client, place.clock, system, welcome)


async def test_a_server_is_told_the_two_commands_that_matter_once(place: Place) -> None:
    await place.greet()
    await place.greet()
    [text] = place.said()
    assert "`/weekly subscribe`" in text
    assert "`/framework`" in text


async def test_where_it_is_not_known_whether_it_arrived_it_is_not_said_again(place: Place) -> None:
    place.server.cut_next("POST", SENDING, takes_effect=True)
    await place.greet()
    await place.greet()
    assert len(place.said()) == 1


async def test_without_a_channel_to_write_in_nothing_is_asked_of_discord(place: Place) -> None:
    place.system.forbid(Permission.SEND_MESSAGES)
    await place.greet()
    assert place.server.sent("POST", MESSAGES) == []


async def test_a_server_that_lets_it_write_later_is_greeted_then(place: Place) -> None:
    place.system.forbid(Permission.SEND_MESSAGES)
    await place.greet()
    place.system.overwrites.clear()
    place.system.announce("UPDATE")
    await place.greet()
    assert len(place.said()) == 1
