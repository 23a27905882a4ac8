"""Faults in the loopback Discord's responses."""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from bare_client import ask
from discord_server import Channel, DiscordServer, Forum, Message, World
from discord_server import request_fault as faults
from discord_server.fault import FOREVER, Mix
from discord_server.request_fault import RequestFault
from manual_clock import ManualClock

NOON = datetime(2040, 1, 2, 12, 0, 0, 999_000, tzinfo=UTC)


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


HELLO: Mapping[str, Any] = {"content": "hello"}


# Responses of proxies and broken responses


@pytest.mark.parametrize("status", [200, 400, 403, 404, 429, 500, 502, 503, 520])
async def test_a_proxy_can_respond_with_a_page(server: DiscordServer, channel: Channel, path: str, status: int) -> None:
    server.inject("POST", "/messages$", faults.html(status))
    answer = await ask(server, "POST", path, HELLO)

    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/html; charset=UTF-8")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert len(answer.text) > 4000
    assert "Via" not in answer.headers
    assert server.messages_in(channel) == []


async def test_a_body_can_be_empty(server: DiscordServer, path: str) -> None:
    server.inject("POST", "/messages$", faults.empty())
    answer = await ask(server, "POST", path, HELLO)
    assert (answer.status, answer.text, answer.headers["Content-Type"]) == (200, "", "application/json")


async def test_json_can_be_cut_in_the_middle(server: DiscordServer, channel: Channel, path: str) -> None:
    server.inject("POST", "/messages$", faults.truncated())
    answer = await ask(server, "POST", path, HELLO)

    assert answer.status == 200
    assert answer.text.startswith('{"id": ')
    with pytest.raises(ValueError, match="line 1"):
        json.loads(answer.text)
    assert [message.text for message in server.messages_in(channel)] == ["hello"]


async def test_a_body_can_be_shorter_than_its_content_length(
    server: DiscordServer, channel: Channel, path: str
) -> None:
    server.inject("POST", "/messages$", faults.truncated(announced=True))
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(server, "POST", path, HELLO)
    assert len(server.messages_in(channel)) == 1
    assert (await ask(server, "POST", path, HELLO)).status == 200


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (faults.refusal(404), 404, {"message": "Made to fail", "code": 0}),
        (faults.refusal(403, None), 403, {"message": "Made to fail"}),
        (faults.refusal(400, 130_000, "API overloaded"), 400, {"message": "API overloaded", "code": 130_000}),
        (faults.refusal(403, 40_333), 403, {"message": "Made to fail", "code": 40_333}),
        (faults.refusal(408), 408, {"message": "Made to fail", "code": 0}),
        (faults.json_body(200, ["no message"]), 200, ["no message"]),
    ],
)
async def test_json_can_have_any_content(
    server: DiscordServer, path: str, fault: RequestFault, status: int, body: Any
) -> None:
    server.inject("POST", "/messages$", fault)
    answer = await ask(server, "POST", path, HELLO)
    assert (answer.status, answer.json, answer.headers["Content-Type"]) == (status, body, "application/json")


async def test_a_content_type_can_have_a_charset(server: DiscordServer, path: str) -> None:
    server.inject("POST", "/messages$", faults.with_charset())
    answer = await ask(server, "POST", path, HELLO)
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json["content"] == "hello"


async def test_a_real_response_can_be_rewritten(server: DiscordServer, path: str) -> None:
    server.inject("POST", "/messages$", faults.rewritten("no id", lambda message: {"content": message["content"]}))
    assert (await ask(server, "POST", path, HELLO)).json == HELLO


# Effects


@pytest.mark.parametrize("fault", [faults.html(502), faults.refusal(500), faults.empty(), faults.cut()])
async def test_any_fault_can_happen_although_the_request_takes_effect(
    server: DiscordServer, channel: Channel, path: str, fault: RequestFault
) -> None:
    server.inject("POST", "/messages$", fault.carried_out())
    with suppress(aiohttp.ClientConnectionError):
        await ask(server, "POST", path, HELLO)
    assert len(server.messages_in(channel)) == 1


@pytest.fixture
def forum(channel: Channel) -> Forum:
    return channel.guild.add_forum("topics")


@dataclass(frozen=True)
class Late:
    """A request to a channel with a message, and a check that it took effect."""

    method: str
    path: str
    body: Any
    shown: Callable[[Channel], object]


POST: Mapping[str, Any] = {"name": "Flask", "message": HELLO}
LATE = {
    "message": Late("POST", "/channels/{channel}/messages", HELLO, lambda channel: len(channel.messages) - 1),
    "forum post": Late("POST", "/channels/{forum}/threads", POST, lambda channel: channel.guild.threads),
    "thread": Late(
        "POST",
        "/channels/{channel}/messages/{message}/threads",
        {"name": "Flask"},
        lambda channel: channel.guild.threads,
    ),
    "edit": Late("PATCH", "/channels/{channel}/messages/{message}", HELLO, lambda channel: first(channel).edited_at),
    "pin": Late("PUT", "/channels/{channel}/messages/pins/{message}", None, lambda channel: channel.pins),
}


def first(channel: Channel) -> Message:
    return next(iter(channel.messages.values()))


@pytest.mark.parametrize("fault", [faults.html(502), faults.cut()], ids=["answered 502", "cut"])
@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
async def test_a_request_can_take_effect_after_its_response(
    server: DiscordServer, channel: Channel, forum: Forum, clock: ManualClock[datetime], late: Late, fault: RequestFault
) -> None:
    message = channel.post(server.world.bot, {"content": "first"})
    path = late.path.format(channel=channel.id, forum=forum.id, message=message.id)
    server.inject(late.method, f"{path}$", fault.carried_out(after=8))
    with suppress(aiohttp.ClientConnectionError):
        await ask(server, late.method, path, late.body)

    clock.now += timedelta(seconds=7)
    await ask(server, "GET", f"/channels/{channel.id}/messages")
    assert not late.shown(channel)
    clock.now += timedelta(seconds=1)
    await server.until(lambda: late.shown(channel))
    assert server.injected == {f"{late.method}: {fault.kind}, carried out after 8 s": 1}


async def test_a_late_message_is_as_old_as_its_effect(
    server: DiscordServer, channel: Channel, path: str, clock: ManualClock[datetime]
) -> None:
    server.inject("POST", "/messages$", faults.cut().carried_out(after=8))
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(server, "POST", path, HELLO)
    clock.now += timedelta(seconds=10)
    [message] = (await ask(server, "GET", path)).json
    assert datetime.fromisoformat(message["timestamp"]) == clock.now


async def test_a_late_message_is_not_duplicated_if_its_nonce_was_sent_again(
    server: DiscordServer, channel: Channel, path: str, clock: ManualClock[datetime]
) -> None:
    body = {**HELLO, "nonce": "1", "enforce_nonce": True}
    server.inject("POST", "/messages$", faults.html(502).carried_out(after=8))
    assert [(await ask(server, "POST", path, body)).status for _ in range(2)] == [502, 200]
    clock.now += timedelta(seconds=8)
    await server.until(lambda: not server.world.late_effects.waiting)
    assert len(server.messages_in(channel)) == 1


async def test_a_request_that_takes_effect_too_late_is_refused_silently(
    server: DiscordServer, channel: Channel, path: str, clock: ManualClock[datetime]
) -> None:
    server.inject("POST", "/messages$", faults.html(502).carried_out(after=8))
    await ask(server, "POST", path, HELLO)
    channel.delete()
    clock.now += timedelta(seconds=8)
    await server.until(lambda: not server.world.late_effects.waiting)


async def test_a_late_effect_outlives_the_server(
    channel: Channel, server: DiscordServer, clock: ManualClock[datetime]
) -> None:
    async with DiscordServer(server.world) as first_server:
        first_server.inject("POST", "/messages$", faults.html(502).carried_out(after=8))
        await ask(first_server, "POST", f"/channels/{channel.id}/messages", HELLO)
    clock.now += timedelta(seconds=8)
    assert server.messages_in(channel) == []
    async with DiscordServer(server.world) as second:
        await second.until(lambda: server.messages_in(channel))


# The Date header


async def test_every_response_has_the_date_of_the_worlds_clock(
    server: DiscordServer, path: str, clock: ManualClock[datetime]
) -> None:
    answer = await ask(server, "GET", path)
    assert answer.headers["Date"] == "Mon, 02 Jan 2040 12:00:00 GMT"

    clock.now += timedelta(days=1)
    server.inject("GET", ".", faults.html(502))
    for _ in range(2):
        assert (await ask(server, "GET", path)).headers["Date"] == "Tue, 03 Jan 2040 12:00:00 GMT"
    server.violations.clear()
    assert (await ask(server, "GET", "/nothing")).date == clock.now.replace(microsecond=0)
    server.violations.clear()


async def test_the_gateways_responses_have_the_date(server: DiscordServer) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(server.gateway_url) as socket:
        assert socket._response.headers["Date"] == "Mon, 02 Jan 2040 12:00:00 GMT"


async def test_the_date_can_be_temporarily_wrong(
    server: DiscordServer, path: str, clock: ManualClock[datetime]
) -> None:
    with server.world.date.shifted(timedelta(hours=-3)):
        assert (await ask(server, "GET", path)).date.hour == 9
    with server.world.date.stale():
        clock.now += timedelta(hours=1)
        assert (await ask(server, "GET", path)).date.hour == 12
    assert (await ask(server, "GET", path)).date.hour == 13


async def test_the_date_of_one_response_can_be_wrong(server: DiscordServer, path: str) -> None:
    server.inject("GET", "/messages$", faults.misdated(timedelta(days=365)))
    assert [(await ask(server, "GET", path)).date.year for _ in range(2)] == [2041, 2040]


# Paths, counts and chance


async def test_a_fault_has_a_method_a_path_and_a_number_of_times(server: DiscordServer, path: str) -> None:
    plan = server.inject("GET|PATCH", "/messages$", faults.html(502), times=2)
    statuses = [(await ask(server, *each)).status for each in [("GET", "/users/@me"), *[("GET", path)] * 3]]
    assert statuses == [200, 502, 502, 200]
    assert plan.times == 0


async def test_a_fault_can_last_until_it_is_removed(server: DiscordServer, path: str) -> None:
    plan = server.inject("GET", "/messages$", faults.html(502), FOREVER)
    assert {(await ask(server, "GET", path)).status for _ in range(5)} == {502}
    server.rest.faults.pending.remove(plan)
    assert (await ask(server, "GET", path)).status == 200


async def test_random_faults_depend_on_a_seed(server: DiscordServer, path: str) -> None:
    shares = [(0.4, [faults.html(502), faults.refusal(403, 40_333)]), (0.2, [faults.truncated()])]
    mixed = []
    for _ in range(2):
        server.rest.faults.mixes = [Mix("seed", shares, lambda call: call.path == path)]
        mixed.append([(await ask(server, "GET", path)).text[:20] for _ in range(30)])
    assert mixed[0] == mixed[1]
    assert len(set(mixed[0])) == 4
    assert (await ask(server, "GET", "/users/@me")).status == 200


EVERYTHING = [
    *[faults.html(200), faults.empty(), faults.refusal(404), faults.refusal(400, None), faults.json_body(200, [])],
    *[faults.truncated(), faults.truncated(announced=True), faults.with_charset(), faults.misdated(timedelta(1))],
    *[faults.shortened(), faults.emptied(), faults.omitting(1), faults.cut(), faults.daily_quota(60)],
    *[faults.rate_limit(0.001, "shared"), faults.rate_limit(0.001, "global"), faults.rate_limit(0.001, "cloudflare")],
]


async def test_any_fault_can_happen_to_any_request(
    server: DiscordServer, channel: Channel, path: str, clock: ManualClock[datetime], caplog: pytest.LogCaptureFixture
) -> None:
    later = [each.carried_out(after=1) for each in EVERYTHING]
    shares = [(0.4, EVERYTHING), (0.2, [each.carried_out() for each in EVERYTHING]), (0.2, later)]
    server.rest.faults.mixes = [Mix("anything", shares)]
    requests = [
        *[("GET", path, None), ("POST", path, HELLO), ("POST", f"/channels/{channel.id}/typing", None)],
        *[("GET", "/users/@me", None), ("GET", "/users/@me/guilds", None), ("GET", f"{path}/pins", None)],
    ]
    for method, place, body in requests * 50:
        clock.now += timedelta(seconds=1)
        with suppress(aiohttp.ClientError):
            await ask(server, method, place, body)
    assert len(server.injected) > 60
    assert not [record for record in caplog.records if record.name.startswith("aiohttp")]


async def test_injected_faults_are_counted(server: DiscordServer, path: str) -> None:
    server.inject("GET", "/messages$", faults.html(502), times=2)
    server.inject("GET", "/messages$", faults.truncated())
    server.fail_next("POST", "/messages$", 503)
    for method in ("GET", "GET", "GET", "GET", "POST"):
        await ask(server, method, path, HELLO if method == "POST" else None)
    assert server.injected == {"GET: 502 HTML": 2, "GET: JSON cut": 1, "POST: 503": 1}
    assert re.search(r"^ *2 GET: 502 HTML$", server.injected_text(), re.MULTILINE)
    assert server.report()["injected"] == dict(server.injected)
