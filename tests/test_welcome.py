"""The welcome message in a server."""

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
    """A place whose server has a system channel."""

    system: Channel
    welcome: Welcome

    async def greet(self) -> None:
        await self.receive_events()
        await self.welcome.greet(self.known)

    def greetings(self) -> list[str]:
        return [message.text for message in self.system.history()]


@pytest.fixture
async def place(clock: FakeClock, database: Database) -> AsyncIterator[Place]:
    async with online(clock) as place:
        system = await place.text("system")
        place.guild.system_channel = system
        place.guild.emit("GUILD_UPDATE", place.guild.payload())
        welcome = Welcome(Guilds(database), clock)
        yield Place(place.server, place.guild, place.client, place.clock, system, welcome)


async def test_a_server_gets_one_greeting_with_the_two_main_commands(place: Place) -> None:
    await place.greet()
    await place.greet()
    [text] = place.greetings()
    assert "`/weekly subscribe`" in text
    assert "`/framework`" in text


async def test_a_greeting_with_an_ambiguous_outcome_is_not_repeated(place: Place) -> None:
    place.server.cut_next("POST", SENDING, takes_effect=True)
    await place.greet()
    await place.greet()
    assert len(place.greetings()) == 1


async def test_no_request_is_sent_without_a_writable_channel(place: Place) -> None:
    place.system.forbid(Permission.SEND_MESSAGES)
    await place.greet()
    assert place.server.sent("POST", MESSAGES) == []


async def test_a_server_is_greeted_once_a_channel_becomes_writable(place: Place) -> None:
    place.system.forbid(Permission.SEND_MESSAGES)
    await place.greet()
    place.system.overwrites.clear()
    place.system.announce("UPDATE")
    await place.greet()
    assert len(place.greetings()) == 1
