"""The loopback Discord's messages: long histories, odd messages and deleted ones."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import pytest
from discord.http import Route
from hypothesis import given, settings
from hypothesis import strategies as st

from bare_client import ask
from discord_server import Channel, DiscordServer, Message, World
from discord_server.channel import ChannelKind
from discord_server.history import History
from discord_server.message import Flag
from discord_server.oddity import MESSAGE_ODDITIES
from discord_server.snowflake import moment
from manual_clock import ManualClock

NOON = datetime(2040, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock[datetime]:
    return ManualClock(NOON)


@pytest.fixture
async def server(clock: ManualClock[datetime]) -> AsyncIterator[DiscordServer]:
    async with DiscordServer(World(clock=clock), limits=None) as server:
        yield server


@pytest.fixture
def channel(server: DiscordServer) -> Channel:
    return server.add_guild("Pythonistas").add_text_channel("weekly")


@pytest.fixture
def path(channel: Channel) -> str:
    return f"/channels/{channel.id}/messages"


# Long histories


@pytest.fixture(scope="module")
def place() -> Channel:
    """A minimal channel."""
    return World().add_guild("Pythonistas").add_text_channel("weekly")


def message(place: Channel, number: int) -> Message:
    return Message(number, place, place.world.bot, flags=Flag.EPHEMERAL if number % 5 == 0 else Flag(0))


numbers = st.integers(1, 60)


@settings(deadline=None)
@given(st.lists(numbers, unique=True), st.sets(numbers), numbers)
def test_a_history_stays_in_order(place: Channel, added: list[int], removed: set[int], middle: int) -> None:
    history = History()
    for number in added:
        history[number] = message(place, number)
    for number in removed & set(added):
        del history[number]

    left = sorted(number for number in set(added) - removed if number % 5)
    assert [each.id for each in history.after(middle)] == [number for number in left if number > middle]
    assert [each.id for each in history.since(middle)] == [number for number in left if number >= middle]
    assert [each.id for each in history.before(middle)] == [number for number in reversed(left) if number < middle]
    history.clear()
    assert history == {}
    assert list(history.since(0)) == []


MANY = 20_000


@pytest.fixture
def ids(channel: Channel) -> list[int]:
    """A history of very many messages, one a second until now."""
    author, at = channel.guild.owner.user, channel.world.snowflakes.at
    sent = (NOON - timedelta(seconds=seconds) for seconds in range(MANY, 0, -1))
    return [channel.post(author, {"content": "hello"}, message_id=at(instant)).id for instant in sent]


async def test_a_page_of_a_long_history_reads_only_its_messages(
    server: DiscordServer, channel: Channel, path: str, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_ids = list[int]()

    def counted(message: Message) -> bool:
        read_ids.append(message.id)
        return Flag.EPHEMERAL in message.flags

    monkeypatch.setattr(Message, "ephemeral", property(counted))

    async def page(**query: int) -> list[int]:
        text_query = {name: str(value) for name, value in query.items()}
        return [int(each["id"]) for each in (await ask(server, "GET", path, query=text_query)).json]

    assert await page(limit=100) == ids[-100:][::-1]
    assert await page(limit=100, before=ids[5000]) == ids[4900:5000][::-1]
    assert await page(limit=100, after=ids[5000]) == ids[5001:5101][::-1]
    assert await page(limit=5, around=ids[5000]) == ids[4998:5003][::-1]
    assert await page(limit=5, around=ids[0]) == ids[:5][::-1]
    assert await page(after=ids[-1]) == []
    assert len(read_ids) == 310


async def test_a_nonce_is_searched_for_only_in_the_last_minutes(
    server: DiscordServer, channel: Channel, path: str, ids: list[int]
) -> None:
    body = {"content": "hello", "nonce": "1", "enforce_nonce": True}
    sent = [(await ask(server, "POST", path, body)).json["id"] for _ in range(2)]
    assert sent[0] == sent[1]
    assert len(channel.messages) == MANY + 1


def test_an_id_contains_its_time(channel: Channel) -> None:
    snowflakes = channel.world.snowflakes
    made = [snowflakes.at(NOON - timedelta(days=1)) for _ in range(3)]
    assert made == sorted(set(made))
    assert [moment(each) for each in made] == [NOON - timedelta(days=1)] * 3


# Deleted messages


async def test_a_deleted_messages_nonce_is_refused_while_discord_knows_it(
    server: DiscordServer, channel: Channel, path: str, clock: ManualClock[datetime]
) -> None:
    body = {"content": "hello", "nonce": "1", "enforce_nonce": True}
    sent = (await ask(server, "POST", path, body)).json["id"]
    clock.now += timedelta(minutes=1)
    channel.messages[int(sent)].delete()

    refused = await ask(server, "POST", path, body)
    assert (refused.status, refused.json["code"]) == (404, 10008)
    assert (await ask(server, "POST", path, body | {"nonce": "2"})).status == 200
    assert (await ask(server, "POST", path, {"content": "hello", "nonce": "1"})).status == 200
    clock.now += timedelta(minutes=2, seconds=1)
    assert (await ask(server, "POST", path, body)).status == 200


async def test_a_channel_keeps_the_id_of_its_deleted_last_message(
    server: DiscordServer, channel: Channel, path: str
) -> None:
    async def last() -> Any:
        return (await ask(server, "GET", f"/channels/{channel.id}")).json["last_message_id"]

    assert await last() is None
    sent = [(await ask(server, "POST", path, {"content": "hello"})).json["id"] for _ in range(2)]
    assert await last() == sent[1]
    for each in reversed(sent):
        await ask(server, "DELETE", f"{path}/{each}")
    assert await last() == sent[1]
    assert channel.guild.create_payload()["channels"][0]["last_message_id"] == sent[1]


async def test_an_ephemeral_message_is_not_a_channels_last_message(channel: Channel) -> None:
    channel.post(channel.world.bot, {"content": "psst", "flags": int(Flag.EPHEMERAL)})
    assert channel.last_message_id is None


# Odd messages

UNREADABLE = {"thread is null", "author has just an id", "no author"}


@pytest.mark.parametrize("name", MESSAGE_ODDITIES)
async def test_a_message_can_be_odd(
    server: DiscordServer, channel: Channel, path: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = channel.post(channel.guild.owner.user, {"content": "odd"})
    right = channel.post(server.world.bot, {"content": "right"})
    odd.make_odd(MESSAGE_ODDITIES[name])

    newest, oldest = (await ask(server, "GET", path)).json
    assert newest == right.payload()
    assert oldest == MESSAGE_ODDITIES[name](odd.seen_payload()) != odd.seen_payload()
    assert (await ask(server, "GET", f"{path}/{odd.id}")).json == oldest
    assert await readable(server, channel, monkeypatch) is (name not in UNREADABLE)


async def readable(server: DiscordServer, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return the authors in a channel's history, if discord.py can parse it."""
    monkeypatch.setattr(Route, "BASE", server.api_url)
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login(server.token)
        data: Any = channel.guild.create_payload()
        client._connection._add_guild(discord.Guild(data=data, state=client._connection))
        place = client.get_partial_messageable(channel.id, guild_id=channel.guild.id)
        try:
            return len([each.author async for each in place.history()]) == 2
        except (AttributeError, TypeError):
            return False


async def test_a_threads_first_message_can_be_odd(server: DiscordServer, channel: Channel, path: str) -> None:
    odd = channel.post(channel.guild.owner.user, {"content": "odd"})
    thread = (await ask(server, "POST", f"{path}/{odd.id}/threads", {"name": "corner"})).json
    odd.make_odd(MESSAGE_ODDITIES["no author"])
    [starter] = (await ask(server, "GET", f"/channels/{thread['id']}/messages")).json
    assert "author" not in starter["referenced_message"]
    assert thread["type"] == ChannelKind.PUBLIC_THREAD
