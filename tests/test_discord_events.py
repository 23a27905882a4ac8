"""Faults in the events that the loopback Discord sends to a bot."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from discord_server import Channel, DiscordServer, Guild
from discord_server import event_fault as faults
from discord_server.event_fault import UNKNOWN_GUILD, Event, EventFault, everywhere, paths
from discord_server.fault import FOREVER, Mix

SECONDS = 10
LAST = "LAST"


class Recorder:
    """Records all frames that the gateway sends, byte by byte."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, server: DiscordServer) -> None:
        self.socket = socket
        self.server = server

    async def identify(self) -> None:
        identify = {"token": self.server.token, "intents": 1, "shard": [0, 1], "properties": {}}
        await self.socket.send_json({"op": 2, "d": identify})

    async def resume(self, session_id: str, seen: int) -> None:
        resume = {"token": self.server.token, "session_id": session_id, "seq": seen}
        await self.socket.send_json({"op": 6, "d": resume})

    async def texts(self, last: str = LAST) -> list[str]:
        """Return all events before the last one."""
        found: list[str] = []
        async with asyncio.timeout(SECONDS):
            while f'"t": "{last}"' not in (text := await self.socket.receive_str()):
                found.append(text)
        return found

    async def events(self, last: str = LAST) -> list[tuple[str, Any]]:
        frames = map(json.loads, await self.texts(last))
        return [(frame["t"], frame["d"]) for frame in frames if frame["op"] == 0]


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


@pytest.fixture
def guild(server: DiscordServer) -> Guild:
    return server.add_guild("Pythonistas")


@pytest.fixture
def channel(guild: Guild) -> Channel:
    return guild.add_text_channel("weekly")


@pytest.fixture
async def recorder(server: DiscordServer, channel: Channel) -> AsyncIterator[Recorder]:
    """A recorder whose session has started."""
    async with aiohttp.ClientSession() as session, session.ws_connect(server.gateway_url) as socket:
        recorder = Recorder(socket, server)
        await recorder.identify()
        await recorder.texts("GUILD_CREATE")
        yield recorder


def finish(guild: Guild) -> None:
    guild.emit(LAST, {})


async def events_of_two_changes(recorder: Recorder, channel: Channel, fault: EventFault) -> list[tuple[str, Any]]:
    """Return the events of a channel that is changed twice."""
    recorder.server.gateway.mangle("CHANNEL_UPDATE", fault)
    channel.edit({"name": "first"})
    channel.edit({"name": "second"})
    finish(channel.guild)
    return await recorder.events()


# Fields of an event


async def test_a_field_can_be_missing(recorder: Recorder, channel: Channel) -> None:
    (name, malformed), (_, valid) = await events_of_two_changes(recorder, channel, faults.without("position"))
    assert name == "CHANNEL_UPDATE"
    assert valid.keys() - malformed.keys() == {"position"}
    assert malformed["name"] == "first"
    assert channel.position == 0
    assert recorder.server.injected == {"CHANNEL_UPDATE: without position": 1}


@pytest.mark.parametrize("value", [None, "text", {"a": [1]}])
async def test_a_field_can_have_a_wrong_value(recorder: Recorder, channel: Channel, value: Any) -> None:
    channel.forbid()
    await events_of_two_changes(recorder, channel, faults.without("topic"))
    (_, malformed), (_, valid) = await events_of_two_changes(
        recorder, channel, faults.with_value("permission_overwrites.0.allow", value)
    )
    assert [each["permission_overwrites"][0]["allow"] for each in (malformed, valid)] == [value, "0"]


async def test_a_field_can_have_a_wrong_type(recorder: Recorder, channel: Channel) -> None:
    (_, first), _ = await events_of_two_changes(recorder, channel, faults.mistyped("id"))
    (_, second), _ = await events_of_two_changes(recorder, channel, faults.mistyped("permission_overwrites"))
    assert (first["id"], second["permission_overwrites"]) == (["list"], "text")


async def test_each_item_of_a_list_can_be_changed(server: DiscordServer, guild: Guild, channel: Channel) -> None:
    guild.add_text_channel("other")
    event = faults.without("channels.*.name").changed(Event("GUILD_CREATE", guild.create_payload()))
    assert [each.get("name") for each in event.data["channels"]] == [None, None]
    assert "name" in guild.create_payload()["channels"][0]


async def test_an_event_without_the_field_is_unchanged(recorder: Recorder, channel: Channel) -> None:
    plan = recorder.server.gateway.mangle(".*", faults.without("channels.0.topic"))
    channel.edit({"name": "first"})
    finish(channel.guild)
    assert [name for name, _ in await recorder.events()] == ["CHANNEL_UPDATE"]
    assert plan.times == 1


def test_all_event_faults_can_be_listed() -> None:
    data = {"id": "1", "roles": [{"id": "2"}]}
    assert list(paths(data)) == ["id", "roles", "roles.0", "roles.0.id"]
    kinds = [fault.kind for fault in everywhere(data)]
    assert kinds[-3:] == ["without roles.0.id", "roles.0.id is null", "roles.0.id of another type"]
    for fault in everywhere(data):
        event = Event("GUILD_CREATE", data)
        assert fault.applies_to(event)
        assert fault.changed(event).data != data
    assert data == {"id": "1", "roles": [{"id": "2"}]}


# Events as a whole


async def test_an_event_can_be_unknown(recorder: Recorder, channel: Channel) -> None:
    found = await events_of_two_changes(recorder, channel, faults.renamed())
    assert [name for name, _ in found] == ["SOMETHING_NEW", "CHANNEL_UPDATE"]


async def test_an_event_can_be_from_an_unknown_guild(recorder: Recorder, channel: Channel) -> None:
    found = await events_of_two_changes(recorder, channel, faults.of_unknown_guild())
    assert [data["guild_id"] for _, data in found] == [str(UNKNOWN_GUILD), str(channel.guild.id)]
    recorder.server.gateway.mangle("GUILD_UPDATE", faults.of_unknown_guild())
    channel.guild.save_locales("de")
    finish(channel.guild)
    assert [data["id"] for _, data in await recorder.events()] == [str(UNKNOWN_GUILD)]


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        (faults.duplicated(), ["first", "first", "second"]),
        (faults.late(), ["second", "first"]),
        (faults.late(by=2), ["second"]),
        (faults.lost(), ["second"]),
    ],
)
async def test_an_event_can_be_duplicated_reordered_or_lost(
    recorder: Recorder, channel: Channel, fault: EventFault, names: list[str]
) -> None:
    assert [data["name"] for _, data in await events_of_two_changes(recorder, channel, fault)] == names


async def test_reordered_events_are_numbered_in_the_order_they_are_sent(recorder: Recorder, channel: Channel) -> None:
    recorder.server.gateway.mangle("CHANNEL_UPDATE", faults.late())
    channel.edit({"name": "first"})
    channel.edit({"name": "second"})
    finish(channel.guild)
    assert [json.loads(text)["s"] for text in await recorder.texts()] == [3, 4]


# Frames


@pytest.mark.parametrize(("fault", "length"), [(faults.truncated(), 0.5), (faults.not_json(), 0)])
async def test_a_frame_can_be_invalid_json(
    recorder: Recorder, channel: Channel, fault: EventFault, length: float
) -> None:
    recorder.server.gateway.mangle("CHANNEL_UPDATE", fault)
    channel.edit({"name": "first"})
    channel.edit({"name": "other"})
    finish(channel.guild)
    broken, valid = await recorder.texts()
    assert len(broken) == (int(len(valid) * length) or len("<html>"))
    with pytest.raises(ValueError, match="line 1"):
        json.loads(broken)


async def test_the_whole_frame_is_sent_after_a_resume(recorder: Recorder, channel: Channel) -> None:
    [session] = recorder.server.gateway.connected()
    recorder.server.gateway.mangle("CHANNEL_UPDATE", faults.truncated())
    recorder.server.gateway.mangle("CHANNEL_UPDATE", faults.without("topic"))
    channel.edit({"name": "first"})
    channel.edit({"name": "second"})
    await recorder.socket.close(code=4000)
    async with aiohttp.ClientSession() as client, client.ws_connect(recorder.server.gateway_url) as socket:
        again = Recorder(socket, recorder.server)
        await again.resume(session.id, 2)
        first, second = await again.events("RESUMED")
    assert first[1]["name"] == "first"
    assert "topic" not in second[1]


async def test_a_compressed_frame_can_be_cut(server: DiscordServer, channel: Channel) -> None:
    server.gateway.mangle("HELLO", faults.not_json("<html>"))
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(server.gateway_url + "?compress=zlib-stream") as socket,
    ):
        assert zlib.decompressobj().decompress(await socket.receive_bytes()) == b"<html>"


# The start of a session


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("HELLO", faults.without("heartbeat_interval")),
        ("HELLO", faults.with_value("heartbeat_interval", None)),
        ("HELLO", faults.truncated()),
        ("READY", faults.without("session_id")),
        ("READY", faults.mistyped("user")),
        ("READY", faults.with_value("guilds", None)),
        ("GUILD_CREATE", faults.without("channels.0.type")),
        ("GUILD_CREATE", faults.with_value("roles", None)),
    ],
    ids=lambda each: each.kind if isinstance(each, EventFault) else each,
)
async def test_the_first_events_of_a_session_can_be_malformed(
    server: DiscordServer, channel: Channel, name: str, fault: EventFault
) -> None:
    server.gateway.mangle(name, fault)
    async with aiohttp.ClientSession() as client, client.ws_connect(server.gateway_url) as socket:
        recorder = Recorder(socket, server)
        await recorder.identify()
        await server.ready()
        finish(channel.guild)
        assert len(await recorder.texts()) == 3
    assert server.injected == {f"{name}: {fault.kind}": 1}


# Random faults


async def test_random_faults_mix_all_event_faults(recorder: Recorder, channel: Channel) -> None:
    shares = [(0.3, everywhere(channel.payload())), (0.1, [faults.lost()])]
    runs = []
    for _ in range(2):
        recorder.server.gateway.events.mixes = [Mix("seed", shares, lambda event: event.name == "CHANNEL_UPDATE")]
        for number in range(50):
            channel.edit({"name": f"name {number}"})
        finish(channel.guild)
        runs.append(await recorder.events())
    assert runs[0] == runs[1]
    assert 40 <= len(runs[0]) < 50
    assert recorder.server.injected.total() > 20
    assert recorder.server.injected["CHANNEL_UPDATE: lost"] > 0


async def test_an_event_can_be_lost_until_the_fault_is_removed(recorder: Recorder, channel: Channel) -> None:
    plan = recorder.server.gateway.mangle("CHANNEL_.*", faults.lost(), FOREVER)
    for number in range(5):
        channel.edit({"name": f"name {number}"})
    recorder.server.gateway.events.pending.remove(plan)
    channel.edit({"name": "last"})
    finish(channel.guild)
    assert [data["name"] for _, data in await recorder.events()] == ["last"]
