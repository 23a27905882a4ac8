"""The bot's gateway connections to the loopback Discord, and the faults that Discord may cause."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import CONTENT
from discord_server import DiscordServer, Guild, event_fault, handshake_fault, request_fault
from discord_server.fault import FOREVER
from places import app_online, until
from weekbot.app import App, build
from weekbot.bot.gateway.client import Weekbot
from weekbot.delivery.reopening import Reopening
from weekbot.discord_io.gateway import shard_runner
from weekbot.discord_io.gateway.shard_runner import FATAL_CODES, MAX_RESUMES, GatewayRefusedError
from weekbot.discord_io.rest_client import use_addresses
from weekbot.run import REFUSALS
from weekbot.runtime.clock import SystemClock
from weekbot.settings import Settings

Step = Literal["HELLO", "IDENTIFY", "RESUME"]


def kind_of(value: Any) -> str:
    return getattr(value, "kind", str(value))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses between connection attempts to hundredths of a second."""
    monkeypatch.setattr(shard_runner, "pause", lambda failures: timedelta(seconds=0.01 * failures))
    monkeypatch.setattr(shard_runner, "pause_after", lambda _, failures: timedelta(seconds=0.01 * failures))
    monkeypatch.setattr(shard_runner, "IDENTIFY_SECONDS", 0.0)


@dataclass
class Place:
    server: DiscordServer
    guild: Guild
    app: App

    @property
    def client(self) -> Weekbot:
        return self.app.client

    async def lookup(self, guild: Guild | None = None) -> str:
        channel = next(iter((guild or self.guild).channels.values()))
        return (await self.server.interact(channel, "framework", {"name": "flask"})).text

    async def wait_for_events(self, name: str) -> None:
        """Add a channel, and wait until the client has received its event."""
        channel = self.guild.add_text_channel(name)
        await until(lambda: self.client.get_channel(channel.id))


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        use_addresses(server.api_url, server.gateway_url)
        yield server


@pytest.fixture
def guild(server: DiscordServer) -> Guild:
    guild = server.add_guild("Pythonistas")
    guild.add_text_channel("weekly")
    return guild


def settings_in(folder: Path, **more: Any) -> Settings:
    return Settings(database_url=f"sqlite:///{folder / 'weekbot.db'}", content_dir=CONTENT, **more)


@asynccontextmanager
async def online(server: DiscordServer, guild: Guild, folder: Path) -> AsyncIterator[Place]:
    async with build(settings_in(folder), SystemClock()) as app, app.client, app_online(app, server):
        yield Place(server, guild, app)


@asynccontextmanager
async def logged_in(folder: Path, server: DiscordServer, **more: Any) -> AsyncIterator[Weekbot]:
    async with app_logged_in(folder, server, **more) as app:
        yield app.client


@asynccontextmanager
async def app_logged_in(folder: Path, server: DiscordServer, **more: Any) -> AsyncIterator[App]:
    async with build(settings_in(folder, **more), SystemClock()) as app, app.client:
        app.client._connection.guild_ready_timeout = 0.01
        await app.client.login(server.token)
        yield app


@pytest.fixture
async def place(server: DiscordServer, guild: Guild, tmp_path: Path) -> AsyncIterator[Place]:
    async with online(server, guild, tmp_path) as place:
        yield place


# Connections


async def test_a_session_that_cannot_be_resumed_is_replaced(place: Place) -> None:
    """Discord's gateway may accept a RESUME and close the connection each time."""
    await place.lookup()
    first = set(place.server.gateway.sessions)
    place.server.gateway.inject("RESUME", handshake_fault.closed(1011), FOREVER)
    await place.server.drop()
    await until(lambda: set(place.server.gateway.sessions) - first and not place.client.disconnected_shards())
    assert place.server.injected.total() == MAX_RESUMES
    assert "Flask" in await place.lookup()


async def test_a_dropped_connection_is_resumed_with_its_session(place: Place) -> None:
    await place.lookup()
    sessions = list(place.server.gateway.sessions.values())
    for number in range(3):
        await place.server.drop(1001 if number else 4000)
        await place.server.until(lambda: place.server.gateway.connected(), "a connection")
        await place.wait_for_events(f"after {number}")
    assert list(place.server.gateway.sessions.values()) == sessions
    assert sessions[0].resumed == 3


@pytest.mark.parametrize("code", sorted(FATAL_CODES))
async def test_a_fatal_close_code_raises_an_error_with_advice(
    server: DiscordServer, guild: Guild, tmp_path: Path, code: int
) -> None:
    server.gateway.inject("IDENTIFY", handshake_fault.closed(code), FOREVER)
    async with logged_in(tmp_path, server) as client, asyncio.timeout(10):
        with pytest.raises(GatewayRefusedError) as error:
            await client.connect()
    assert error.value.code == code
    assert REFUSALS[code].endswith(".")
    assert server.injected.total() == 1


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 4000, 4001, 4002, 4003, 4005, 4007, 4008, 4009, 4999])
async def test_the_bot_reconnects_after_any_other_close_code(place: Place, code: int) -> None:
    await place.server.drop(code)
    await place.server.until(lambda: place.server.gateway.connected(), "a connection")
    assert "Flask" in await place.lookup()


async def test_a_shard_that_cannot_identify_does_not_block_others(
    server: DiscordServer, guild: Guild, tmp_path: Path
) -> None:
    other = server.add_guild("Others")
    other.add_text_channel("weekly")
    server.gateway.inject("IDENTIFY", handshake_fault.closed(1011), FOREVER, shard=0)
    async with app_logged_in(tmp_path, server, shard_count=2) as app:
        client = app.client
        connecting = asyncio.create_task(client.connect())
        await until(lambda: client.disconnected_shards() == [0])
        await app.registration.keep_trying()
        await until(lambda: client.get_guild(other.id))
        channel = next(iter(other.channels.values()))
        assert "Flask" in (await server.interact(channel, "framework", {"name": "flask"})).text
        server.gateway.handshakes.pending.clear()
        await until(lambda: client.disconnected_shards() == [])
        await client.close()
        await connecting


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("IDENTIFY", handshake_fault.invalid_session(resumable=False)),
        ("IDENTIFY", handshake_fault.silence()),
        ("HELLO", handshake_fault.silence()),
        ("HELLO", handshake_fault.closed(1011)),
    ],
    ids=kind_of,
)
async def test_a_failed_handshake_is_retried(
    server: DiscordServer, guild: Guild, tmp_path: Path, step: Step, fault: Any
) -> None:
    server.gateway.inject(step, fault, 2)
    async with logged_in(tmp_path, server) as client:
        client._connection.heartbeat_timeout = 0.2
        connecting = asyncio.create_task(client.connect())
        await until(lambda: client.disconnected_shards() == [])
        await client.close()
        await connecting
    assert server.injected.total() == 2


@pytest.mark.parametrize(
    "fault",
    [
        request_fault.html(503),
        request_fault.html(200),
        request_fault.empty(200),
        request_fault.truncated(),
        request_fault.rate_limit(0.05, "global"),
        request_fault.json_body(200, {"url": "wss://shard_runner.discord.gg", "shards": None}),
        request_fault.cut(),
    ],
    ids=kind_of,
)
async def test_the_gateways_address_is_requested_until_it_is_known(
    server: DiscordServer, guild: Guild, tmp_path: Path, fault: Any
) -> None:
    server.inject("GET", "/gateway/bot$", fault, times=2)
    async with logged_in(tmp_path, server) as client:
        connecting = asyncio.create_task(client.connect())
        await until(lambda: client.disconnected_shards() == [])
        await client.close()
        await connecting


async def test_no_session_starts_beyond_the_daily_limit(
    server: DiscordServer, guild: Guild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def wait(starts: shard_runner.ShardRunner, after: timedelta) -> None:
        waits.append(after.total_seconds())
        server.world.starts.begun, starts._starts.remaining = 0, 1

    monkeypatch.setattr(shard_runner.ShardRunner, "_wait_for_starts", wait)
    server.world.starts.payload()  # the day has begun
    server.world.starts.begun = server.world.starts.total
    async with logged_in(tmp_path, server) as client:
        connecting = asyncio.create_task(client.connect())
        await until(lambda: client.disconnected_shards() == [])
        await client.close()
        await connecting
    assert len(waits) == 1
    assert 86_000 < waits[0] <= 86_400


# Events that discord.py can't parse

MALFORMED = [
    ("INTERACTION_CREATE", event_fault.without("id")),
    ("CHANNEL_UPDATE", event_fault.without("position")),
    ("GUILD_ROLE_CREATE", event_fault.without("role.name")),
    ("THREAD_CREATE", event_fault.without("owner_id")),
    ("CHANNEL_CREATE", event_fault.with_value("permission_overwrites", 7)),
]


async def trigger(place: Place, kind: str) -> None:
    """Trigger an event of that kind."""
    channel = next(iter(place.guild.channels.values()))
    match kind:
        case "INTERACTION_CREATE":
            place.server.invoke(channel, "framework", {"name": "flask"})
        case "CHANNEL_UPDATE":
            channel.edit({"topic": "other"})
        case "GUILD_ROLE_CREATE":
            place.guild.add_role("learners")
        case "THREAD_CREATE":
            channel.post(place.server.world.bot, {"content": "hello"})
            place.guild.emit("THREAD_CREATE", thread_payload(place))
        case _:
            place.guild.add_text_channel("unreadable")


def thread_payload(place: Place) -> dict[str, Any]:
    from discord_server.thread import Thread

    parent = next(iter(place.guild.channels.values()))
    opened = Thread.open(parent, place.guild.owner.user, place.server.world.snowflakes.next(), {"name": "corner"})
    return opened.payload()


@pytest.mark.parametrize(("kind", "fault"), MALFORMED, ids=[kind for kind, _ in MALFORMED])
async def test_an_unparsable_event_is_dropped_and_logged_once(
    place: Place, kind: str, fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    place.server.gateway.mangle(kind, fault, 2)
    for _ in range(2):
        await trigger(place, kind)
    await place.wait_for_events("next")
    lines = [each.getMessage() for each in caplog.records if "can't be parsed" in each.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith(f"{kind} can't be parsed and is dropped (")
    assert f'weekbot_gateway_events_dropped_total{{event="{kind}"}} 2.0' in place.app.metrics.text().decode()
    assert "Flask" in await place.lookup()
    assert place.server.gateway.connections


async def test_an_unparsable_channel_affects_neither_others_nor_its_server(
    server: DiscordServer, guild: Guild, tmp_path: Path
) -> None:
    """For example, a voice channel without a bitrate; otherwise the server would seem to have an outage."""
    good = guild.add_text_channel("good")
    for path in ("channels.0.position", "channels.0.id", "channels.0.permission_overwrites.0.type"):
        server.gateway.mangle("GUILD_CREATE", event_fault.without(path))
        next(iter(guild.channels.values())).forbid()
        async with online(server, guild, tmp_path) as place:
            await until(lambda: (known := place.client.get_guild(guild.id)) and not known.unavailable)
            assert [channel.id for channel in place.client.guilds[0].channels] == [good.id]
            assert guild.id in place.client._connection.outdated  # type: ignore[attr-defined]
            assert "Flask" in await place.lookup()


async def test_an_unparsable_server_is_unknown_instead_of_unavailable(
    server: DiscordServer, guild: Guild, tmp_path: Path
) -> None:
    server.gateway.mangle("GUILD_CREATE", event_fault.with_value("verification_level", []))
    server.gateway.mangle("GUILD_CREATE", event_fault.without("name"))
    async with online(server, guild, tmp_path) as place:
        await asyncio.sleep(0.05)
        assert place.client.get_guild(guild.id) is None or not place.client.guilds[0].unavailable


@pytest.mark.parametrize(
    "fault",
    [
        event_fault.without("guilds"),
        event_fault.without("session_id"),
        event_fault.without("resume_gateway_url"),
        event_fault.with_value("user", None),
        event_fault.truncated(),
        event_fault.not_json(),
    ],
    ids=kind_of,
)
async def test_an_unparsable_ready_event_is_followed_by_another_session(
    server: DiscordServer, guild: Guild, tmp_path: Path, fault: Any
) -> None:
    server.gateway.mangle("READY", fault, 2)
    async with online(server, guild, tmp_path) as place:
        assert place.client.disconnected_shards() == []
        assert "Flask" in await place.lookup()


async def test_a_server_that_was_left_unnoticed_is_removed_at_the_next_ready_event(place: Place) -> None:
    other = place.server.add_guild("Others")
    await until(lambda: place.client.get_guild(other.id))
    other.joined = False
    await place.server.drop(resumable=False)
    await until(lambda: place.client.get_guild(other.id) is None)
    assert place.client.get_guild(place.guild.id)


# Random contents in every kind of event

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 1 << 64)
    | st.text(max_size=5)
    | st.just("1")
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, valid: dict[str, Any]) -> dict[str, Any]:
    """Return an event's data with some fields missing or replaced by random values."""
    data = dict(valid)
    for key in draw(st.sets(st.sampled_from(sorted(valid)), min_size=1, max_size=4)):
        if draw(st.booleans()):
            del data[key]
        else:
            data[key] = draw(ANYTHING)
    return data


def valid_events(place: Place) -> dict[str, dict[str, Any]]:
    """Return a valid event of every kind that the intent `guilds` includes."""
    guild, channel = place.guild, next(iter(place.guild.channels.values()))
    thread, role = thread_payload(place), {"guild_id": str(guild.id), "role": guild.bot_role.payload()}
    member = {**thread["member"], "guild_id": str(guild.id)}
    return {
        "GUILD_CREATE": guild.create_payload(),
        "GUILD_UPDATE": guild.payload(),
        "GUILD_DELETE": guild.unavailable_payload(),
        "CHANNEL_CREATE": channel.payload(),
        "CHANNEL_UPDATE": channel.payload(),
        "CHANNEL_DELETE": channel.payload(),
        "CHANNEL_PINS_UPDATE": {"guild_id": str(guild.id), "channel_id": str(channel.id), "last_pin_timestamp": None},
        "THREAD_CREATE": thread,
        "THREAD_UPDATE": thread,
        "THREAD_DELETE": {key: thread[key] for key in ("id", "guild_id", "parent_id", "type")},
        "THREAD_LIST_SYNC": {"guild_id": str(guild.id), "threads": [thread], "members": [member]},
        "THREAD_MEMBER_UPDATE": member,
        "THREAD_MEMBERS_UPDATE": {"id": thread["id"], "guild_id": str(guild.id), "member_count": 1},
        "GUILD_ROLE_CREATE": role,
        "GUILD_ROLE_UPDATE": role,
        "GUILD_ROLE_DELETE": {"guild_id": str(guild.id), "role_id": str(guild.bot_role.id)},
        "STAGE_INSTANCE_CREATE": {
            "id": "1",
            "guild_id": str(guild.id),
            "channel_id": "2",
            "topic": "",
            "privacy_level": 2,
        },
        "USER_UPDATE": place.server.world.bot.own_payload(),
    }


@pytest.mark.parametrize(
    "kind", ["GUILD_CREATE", "CHANNEL_UPDATE", "THREAD_UPDATE", "GUILD_ROLE_UPDATE", "GUILD_MEMBER_UPDATE"]
)
async def test_changes_that_may_fix_a_refused_post_are_noticed(
    place: Place, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = list[int]()
    monkeypatch.setattr(Reopening, "changed", lambda _, guild_id: changed.append(guild_id))
    user = place.server.world.bot.payload()
    own: dict[str, object] = {"guild_id": str(place.guild.id), "user": user, "roles": [], "joined_at": None, "flags": 0}
    data = {**valid_events(place), "GUILD_MEMBER_UPDATE": own}[kind]
    for session in place.server.gateway.connected():
        session.dispatch(kind, data)
    await until(lambda: changed == [place.guild.id])


async def test_a_thousand_malformed_events_end_no_session_and_affect_no_other_server(place: Place) -> None:
    other = place.server.add_guild("Others")
    other.add_text_channel("weekly")
    await until(lambda: place.client.get_guild(other.id))
    examples = list[tuple[str, Any]]()
    events = valid_events(place)

    @settings(max_examples=1000, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(kind=st.sampled_from(sorted(events)), data=st.data())
    def collect(kind: str, data: st.DataObject) -> None:
        examples.append((kind, data.draw(mutated(events[kind]) | ANYTHING)))

    collect()
    sent: dict[str, int] = {}
    for kind, malformed in examples:
        if isinstance(malformed, dict) and str(malformed.get("guild_id", malformed.get("id"))) == str(other.id):
            continue
        sent[kind] = sent.get(kind, 0) + 1
        for session in place.server.gateway.connected():
            session.dispatch(kind, malformed)
        await asyncio.sleep(0)
    channel = other.add_text_channel("last")
    await until(lambda: place.client.get_channel(channel.id))
    assert set(sent) == set(events)
    assert sum(sent.values()) > 900
    await until(lambda: place.client.disconnected_shards() == [])
    assert "Flask" in await place.lookup(other)
    dropped = re.findall(r'events_dropped_total\{event="(\w+)"\} (\d+)', place.app.metrics.text().decode())
    assert {kind for kind, count in dropped if int(count)} <= set(events)
    assert sum(int(count) for _, count in dropped) > 200
