"""The loopback Discord's threads: starters, archived and locked threads, and large forums."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bare_client import ask
from discord_server import Channel, DiscordServer, Forum, Guild, Message, Permission, World, openapi
from discord_server.archive import Archive
from discord_server.event_fault import without
from discord_server.snowflake import moment
from discord_server.thread import Thread
from manual_clock import ManualClock

NOON = datetime(2040, 1, 2, 12, tzinfo=UTC)
THREADS = "/channels/{}/threads"
ARCHIVED = "/channels/{}/threads/archived/public"


@pytest.fixture
def clock() -> ManualClock[datetime]:
    return ManualClock(NOON)


@pytest.fixture
async def server(clock: ManualClock[datetime]) -> AsyncIterator[DiscordServer]:
    async with DiscordServer(World(clock=clock), limits=None) as server:
        yield server


@pytest.fixture
def guild(server: DiscordServer) -> Guild:
    return server.add_guild("Pythonistas")


@pytest.fixture
def channel(guild: Guild) -> Channel:
    return guild.add_text_channel("weekly")


@pytest.fixture
def forum(guild: Guild) -> Forum:
    return guild.add_forum("topics")


@pytest.fixture
def message(channel: Channel) -> Message:
    return channel.post(channel.world.bot, {"content": "topic"})


@pytest.fixture
def thread(message: Message) -> Thread:
    thread = Thread.open_on(message, message.channel.world.bot, {"name": "Flask"})
    thread.publish()
    return thread


# Thread starters


async def test_a_thread_on_a_message_starts_with_a_reference_to_it(server: DiscordServer, message: Message) -> None:
    path = f"/channels/{message.channel.id}/messages/{message.id}/threads"
    opened = (await ask(server, "POST", path, {"name": "Flask"})).json
    assert (opened["id"], opened["message_count"], opened["total_message_sent"]) == (str(message.id), 0, 0)

    [starter] = (await ask(server, "GET", f"/channels/{opened['id']}/messages")).json
    assert (starter["type"], starter["content"], starter["components"]) == (21, "", [])
    assert int(starter["id"]) > message.id
    assert starter["author"]["id"] == opened["owner_id"]
    assert starter["message_reference"] == {
        "type": 0,
        "channel_id": str(message.channel.id),
        "message_id": str(message.id),
        "guild_id": str(message.channel.guild.id),
    }
    assert starter["referenced_message"]["content"] == "topic"

    message.delete()
    [starter] = (await ask(server, "GET", f"/channels/{opened['id']}/messages")).json
    assert starter["referenced_message"] is None


async def test_a_thread_without_a_message_is_empty(server: DiscordServer, channel: Channel) -> None:
    opened = (await ask(server, "POST", THREADS.format(channel.id), {"name": "Flask", "type": 11})).json
    assert (await ask(server, "GET", f"/channels/{opened['id']}/messages")).json == []


async def test_the_first_message_is_not_counted(server: DiscordServer, forum: Forum, thread: Thread) -> None:
    body = {"name": "Flask", "message": {"content": "hello"}}
    opened = (await ask(server, "POST", THREADS.format(forum.id), body)).json
    for thread_id in (opened["id"], thread.id):
        sent = (await ask(server, "POST", f"/channels/{thread_id}/messages", {"content": "discuss"})).json
        read = (await ask(server, "GET", f"/channels/{thread_id}")).json
        assert (read["message_count"], read["total_message_sent"]) == (1, 1)
        await ask(server, "DELETE", f"/channels/{thread_id}/messages/{sent['id']}")
        read = (await ask(server, "GET", f"/channels/{thread_id}")).json
        assert (read["message_count"], read["total_message_sent"], read["last_message_id"]) == (0, 1, sent["id"])


# Archived, locked, deleted and too many threads


@pytest.mark.parametrize(
    ("changes", "manages", "code"),
    [
        ({"archived": True}, False, None),
        ({"locked": True}, False, 160005),
        ({"locked": True, "archived": True}, False, 50083),
        ({"locked": True, "archived": True}, True, None),
    ],
)
async def test_a_thread_can_be_archived_and_locked(
    server: DiscordServer, thread: Thread, changes: dict[str, bool], manages: bool, code: int | None
) -> None:
    thread.guild.bot_role.permissions |= Permission.MANAGE_THREADS if manages else 0
    thread.edit(changes)
    answer = await ask(server, "POST", f"/channels/{thread.id}/messages", {"content": "hello"})
    assert answer.json.get("code") == code
    assert thread.archived is bool(code and changes.get("archived"))


async def test_the_number_of_active_threads_is_limited(
    server: DiscordServer, channel: Channel, forum: Forum, thread: Thread
) -> None:
    server.world.most_active_threads = 1
    message = channel.post(server.world.bot, {"content": "another"})
    path = f"/channels/{channel.id}/messages/{message.id}/threads"
    post = {"name": "Flask", "message": {"content": "hello"}}
    for place, body in ((path, {"name": "Flask"}), (THREADS.format(forum.id), post)):
        refused = await ask(server, "POST", place, body)
        assert (refused.status, refused.json["code"]) == (400, 160006)
    thread.edit({"archived": True})
    assert (await ask(server, "POST", path, {"name": "Flask"})).status == 201


async def test_the_gateways_thread_events_match_discords(server: DiscordServer, message: Message) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(server.gateway_url) as socket:
        identify = {"token": server.token, "intents": 1, "shard": [0, 1], "properties": {}}
        await socket.send_json({"op": 2, "d": identify})
        await server.ready()
        server.gateway.mangle("THREAD_CREATE", without("owner_id"))
        thread = Thread.open_on(message, server.world.bot, {"name": "Flask"})
        thread.publish()
        thread.edit({"locked": True, "archived": True})
        thread.delete()
        events = {}
        async with asyncio.timeout(10):
            while "THREAD_DELETE" not in events:
                frame = json.loads(await socket.receive_str())
                events[frame.get("t")] = frame["d"]
    assert "owner_id" not in events["THREAD_CREATE"]
    assert events["THREAD_UPDATE"]["thread_metadata"].items() >= {"locked": True, "archived": True}.items()
    assert events["THREAD_DELETE"].keys() == {"id", "guild_id", "parent_id", "type"}
    assert (await ask(server, "GET", f"/channels/{thread.id}")).json["code"] == 10003


# Archives


instants = st.integers(0, 20).map(lambda minutes: NOON + timedelta(minutes=minutes))


@settings(deadline=None)
@given(st.lists(instants, max_size=40), instants, st.integers(1, 10))
def test_a_page_of_an_archive_has_the_latest_before_an_instant(
    archived: list[datetime], before: datetime, limit: int
) -> None:
    archive = Archive()
    for number, instant in enumerate(archived):
        archive.add(instant, number)
    fitting = sorted(((instant, number) for number, instant in enumerate(archived) if instant < before), reverse=True)
    expected = [number for _, number in fitting]
    assert archive.page(before, limit) == (expected[:limit], len(expected) > limit)


async def test_archived_threads_are_ordered_by_archive_time(
    server: DiscordServer, forum: Forum, clock: ManualClock[datetime]
) -> None:
    bodies = [{"name": name, "message": {"content": "hello"}} for name in ("first", "second", "third")]
    threads = [Thread.open_post(forum, server.world.bot, body) for body in bodies]
    for thread in threads:
        thread.publish()
    for thread in (threads[1], threads[0], threads[2], threads[1]):
        clock.now += timedelta(minutes=1)
        thread.edit({"archived": True})
    threads[0].edit({"archived": False})

    listed = (await ask(server, "GET", ARCHIVED.format(forum.id))).json
    assert [each["name"] for each in listed["threads"]] == ["second", "third"]
    threads[1].delete()
    listed = (await ask(server, "GET", ARCHIVED.format(forum.id))).json
    assert [each["name"] for each in listed["threads"]] == ["third"]


def fill(forum: Forum, number: int) -> list[Thread]:
    """Return past posts, one a minute, each archived an hour after it was opened; the latest first."""
    owner, body = forum.guild.owner.user, {"name": "old", "message": {"content": "hello"}}
    opened = [NOON - timedelta(minutes=minutes, hours=1) for minutes in range(number, 0, -1)]
    posts = [Thread.archived_post(forum, owner, each, each + timedelta(hours=1), body) for each in opened]
    return posts[::-1]


async def pages(server: DiscordServer, forum: Forum) -> list[list[str]]:
    found, before, more = list[list[str]](), dict[str, str](), True
    while more:
        query = {"limit": "100", **before}
        listed = (await ask(server, "GET", ARCHIVED.format(forum.id), query=query)).json
        found.append([each["id"] for each in listed["threads"]])
        before, more = {"before": listed["threads"][-1]["thread_metadata"]["archive_timestamp"]}, listed["has_more"]
    return found


async def test_a_forum_can_have_very_many_archived_threads(server: DiscordServer, forum: Forum) -> None:
    posts = fill(forum, 20_000)
    server.rest.check = False  # the pages are all alike
    found = await pages(server, forum)
    assert {len(page) for page in found} == {100}
    assert [thread_id for page in found for thread_id in page] == [str(post.id) for post in posts]
    assert moment(posts[0].id) == NOON - timedelta(minutes=1, hours=1)
    assert server.world.guilds[forum.guild.id].active_threads() == []


async def test_a_page_has_at_most_a_hundred_threads(server: DiscordServer, forum: Forum) -> None:
    refused = await ask(server, "GET", ARCHIVED.format(forum.id), query={"limit": "101"})
    assert refused.json["code"] == 50035
    assert len(server.violations) == (openapi.find() is not None)
    server.violations.clear()


async def test_a_forum_has_the_id_of_its_last_post(server: DiscordServer, forum: Forum) -> None:
    posts = fill(forum, 3)
    for post in islice(posts, 2):
        post.delete()
    assert (await ask(server, "GET", f"/channels/{forum.id}")).json["last_message_id"] == str(posts[0].id)
