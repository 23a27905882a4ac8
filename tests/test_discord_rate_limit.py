"""The loopback Discord's rate limits: the rules, and their HTTP responses."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import discord
import pytest
from discord.http import Route
from hypothesis import given
from hypothesis import strategies as st

from bare_client import ask
from discord_server import Channel, DiscordServer, Permission, RateLimits
from discord_server.interaction import InteractionKind
from discord_server.rate_limit import LIMITS, InvalidRequestBan, Limit, Scope, SlidingWindow, Verdict
from discord_server.request_fault import daily_quota, rate_limit
from manual_clock import ManualClock

MESSAGES = "/channels/{channel_id}/messages"
PIN = MESSAGES + "/pins/{message_id}"
CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"


@pytest.fixture
def clock() -> ManualClock[float]:
    return ManualClock(1_800_000_000.0)


def post(limits: RateLimits, channel: int = 1) -> Verdict:
    return limits.take("POST", MESSAGES, {"channel_id": str(channel)})


# The global limit

# Floats add up eighths exactly.
eighths = st.lists(st.integers(0, 9), min_size=1, max_size=200)


@given(eighths, st.integers(1, 10))
def test_no_second_ever_has_more_requests_than_the_global_limit(pauses: list[int], per_second: int) -> None:
    clock = ManualClock(1_800_000_000.0)
    limits = RateLimits(per_second, (), clock)
    passed = []
    for pause in pauses:
        clock.now += pause / 8
        if not post(limits).wait:
            passed.append(clock.now)

    assert all(later - first >= 1 for first, later in zip(passed, passed[per_second:], strict=False))


@given(eighths, st.integers(1, 10))
def test_a_request_passes_exactly_after_the_wait(pauses: list[int], per_second: int) -> None:
    clock = ManualClock(1_800_000_000.0)
    window = SlidingWindow(per_second, 1.0)
    for pause in pauses:
        clock.now += pause / 8
        if wait := window.wait(clock.now):
            assert window.wait(clock.now + wait - 1 / 8)
            clock.now += wait
        assert window.wait(clock.now) == 0
        window.pass_one(clock.now)


def test_a_request_over_the_global_limit_gets_a_429(clock: ManualClock[float]) -> None:
    limits = RateLimits(50, clock=clock)
    assert [post(limits, channel).wait for channel in range(50)] == [0] * 50

    clock.now += 0.25
    refused = post(limits, 99)

    assert refused.body() == {"message": "You are being rate limited.", "retry_after": 0.75, "global": True, "code": 0}
    assert refused.headers == {
        "Via": "1.1 google",
        "Retry-After": "1",
        "X-RateLimit-Global": "true",
        "X-RateLimit-Scope": "global",
    }


@pytest.mark.parametrize("route", [CALLBACK, "/webhooks/{webhook_id}/{webhook_token}/messages/@original"])
def test_the_global_limit_does_not_apply_to_interaction_responses(clock: ManualClock[float], route: str) -> None:
    limits = RateLimits(1, clock=clock)
    assert not any(limits.take("POST", route, {}).wait for _ in range(100))
    assert not post(limits).wait


# Buckets


def test_each_response_describes_its_bucket_which_refuses_when_empty(clock: ManualClock[float]) -> None:
    limits = RateLimits(None, clock=clock)
    verdicts = [post(limits)]
    clock.now += 1.5
    verdicts += [post(limits) for _ in range(5)]

    assert [each.headers["X-RateLimit-Remaining"] for each in verdicts] == ["4", "3", "2", "1", "0", "0"]
    assert [each.wait for each in verdicts] == [0, 0, 0, 0, 0, 3.5]
    refused = dict(verdicts[-1].headers)
    assert len(refused.pop("X-RateLimit-Bucket")) == 32
    assert refused == {
        "Via": "1.1 google",
        "Retry-After": "4",
        "X-RateLimit-Scope": "user",
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1800000005.000",
        "X-RateLimit-Reset-After": "3.500",
    }

    clock.now += 3.5
    assert post(limits).headers["X-RateLimit-Remaining"] == "4"


@given(eighths)
def test_no_bucket_exceeds_its_limit_between_two_resets(pauses: list[int]) -> None:
    clock = ManualClock(1_800_000_000.0)
    limits = RateLimits(None, [Limit(3, 2, [f"POST {MESSAGES}"])], clock)
    passed: dict[str, int] = {}
    for pause in pauses:
        clock.now += pause / 8
        verdict = post(limits)
        reset = verdict.headers["X-RateLimit-Reset"]
        passed[reset] = passed.get(reset, 0) + (verdict.wait == 0)

    assert max(passed.values()) <= 3
    resets = sorted(map(float, passed))
    assert all(later - first >= 2 for first, later in pairwise(resets))


def test_each_channel_has_a_bucket_of_its_own(clock: ManualClock[float]) -> None:
    limits = RateLimits(None, clock=clock)
    assert not any(post(limits, channel).wait for channel in range(100))


def test_operations_with_one_limit_share_its_bucket(clock: ManualClock[float]) -> None:
    limits = RateLimits(None, clock=clock)
    pins = [limits.take(method, PIN, {"channel_id": "1", "message_id": "2"}) for method in ("PUT", "DELETE")]
    assert [each.headers["X-RateLimit-Remaining"] for each in pins] == ["4", "3"]
    assert len({each.headers["X-RateLimit-Bucket"] for each in [*pins, post(limits)]}) == 2


def test_no_operation_has_two_limits() -> None:
    operations = [operation for limit in LIMITS for operation in limit.operations]
    assert len(operations) == len(set(operations))


# Invalid requests


def test_too_many_invalid_requests_ban_the_address_until_they_are_ten_minutes_old(clock: ManualClock[float]) -> None:
    invalid = InvalidRequestBan(3, clock)
    for status in (401, 200, 403, 404):
        invalid.add(status)
    invalid.add(429, "shared")
    assert (invalid.count, invalid.banned) == (2, False)

    invalid.add(429)
    assert (invalid.count, invalid.banned) == (3, True)
    clock.now += 600
    assert not invalid.banned


# Over HTTP


@pytest.fixture
async def server(clock: ManualClock[float]) -> AsyncIterator[DiscordServer]:
    async with DiscordServer(limits=RateLimits(per_second=3, clock=clock)) as server:
        yield server


@pytest.fixture
def channel(server: DiscordServer) -> Channel:
    return server.add_guild("Pythonistas").add_text_channel("general")


async def get(server: DiscordServer, path: str, times: int = 1) -> list[tuple[int, dict[str, str], Any]]:
    """Send all requests at once; return the statuses, headers and texts, the refused ones last."""
    headers = {"Authorization": f"Bot {server.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def one() -> tuple[int, dict[str, str], str]:
            async with session.get(server.api_url + path) as answer:
                return answer.status, dict(answer.headers), await answer.text()

        return sorted(await asyncio.gather(*(one() for _ in range(times))), key=lambda each: each[0])


async def test_a_burst_is_limited_globally(server: DiscordServer) -> None:
    answers = await get(server, "/users/@me", 5)
    assert [status for status, _, _ in answers] == [200, 200, 200, 429, 429]
    assert answers[-1][1]["X-RateLimit-Scope"] == "global"
    assert server.invalid_requests == 2


async def test_discord_py_respects_a_reported_bucket(
    server: DiscordServer, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.rest.limits = RateLimits(limits=[Limit(2, 0.05, [f"POST {MESSAGES}"])])
    monkeypatch.setattr(Route, "BASE", server.api_url)
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login(server.token)
        place = client.get_partial_messageable(channel.id)
        await asyncio.gather(*(place.send(str(number)) for number in range(6)))

    assert len(server.messages_in(channel)) == 6
    assert {each.status for each in server.sent("POST", MESSAGES)} == {200}


async def test_a_ban_has_nothing_that_discord_py_would_wait_for(server: DiscordServer, channel: Channel) -> None:
    server.rest.limits, server.rest.invalid = None, InvalidRequestBan(2)
    channel.forbid(Permission.VIEW_CHANNEL)
    assert [status for status, _, _ in await get(server, f"/channels/{channel.id}", 2)] == [403, 403]

    [(status, headers, text)] = await get(server, "/users/@me")
    assert (status, text) == (429, "error code: 1015")
    assert "Via" not in headers


# Imposed limits


@pytest.fixture
async def limited(clock: ManualClock[float]) -> AsyncIterator[DiscordServer]:
    """A server without limits except those of the test."""
    async with DiscordServer(limits=None) as server:
        server.rest.imposed.clock = clock
        server.add_guild("Pythonistas").add_text_channel("general")
        yield server


def paths(server: DiscordServer) -> tuple[str, str]:
    """Return the paths of its channel's messages and of an interaction's response."""
    [guild] = server.world.guilds.values()
    [channel] = guild.channels.values()
    interaction = server.world.begin(InteractionKind.COMMAND, channel, guild.owner, None)
    interaction.acknowledge({"type": 5})
    return f"/channels/{channel.id}/messages", f"/webhooks/{server.world.application.id}/{interaction.token}"


async def test_an_imposed_global_limit_applies_to_all_but_interaction_responses(
    limited: DiscordServer, clock: ManualClock[float]
) -> None:
    messages, webhook = paths(limited)
    limited.inject("POST", "/messages$", rate_limit(25, "global"))
    refused = await ask(limited, "POST", messages, {"content": "hello"})

    assert refused.status == 429
    assert refused.json == {"message": "You are being rate limited.", "retry_after": 25, "global": True, "code": 0}
    assert {
        name: refused.headers[name] for name in ("Retry-After", "X-RateLimit-Global", "X-RateLimit-Scope", "Via")
    } == {
        "Retry-After": "25",
        "X-RateLimit-Global": "true",
        "X-RateLimit-Scope": "global",
        "Via": "1.1 google",
    }
    clock.now += 24.25
    meanwhile = [await ask(limited, "GET", path) for path in (messages, "/users/@me", f"{webhook}/messages/@original")]
    assert [answer.status for answer in meanwhile] == [429, 429, 200]
    assert (meanwhile[0].json["retry_after"], meanwhile[0].headers["Retry-After"]) == (0.75, "1")

    clock.now += 0.75
    assert (await ask(limited, "GET", messages)).status == 200
    assert [(str(each.request), each.seconds) for each in limited.premature_requests] == [
        (f"GET {messages} → 429", 0.75),
        ("GET /users/@me → 429", 0.75),
    ]


@pytest.mark.parametrize(("scope", "invalid"), [("user", 2), ("shared", 0)])
async def test_another_imposed_limit_applies_to_one_bucket(
    limited: DiscordServer, clock: ManualClock[float], scope: Scope, invalid: int
) -> None:
    messages, _ = paths(limited)
    limited.inject("POST", "/messages$", rate_limit(61.7, scope))
    answers = [await ask(limited, "POST", messages, {"content": "hello"}) for _ in range(2)]

    assert [answer.status for answer in answers] == [429, 429]
    assert answers[0].json == {
        "message": "You are being rate limited.",
        "retry_after": pytest.approx(61.7, abs=0.002),
        "global": False,
        "code": 0,
    }
    named = {name: value for name, value in answers[0].headers.items() if name.startswith(("X-", "Retry", "Via"))}
    assert named == {
        "Via": "1.1 google",
        "Retry-After": "62",
        "X-RateLimit-Scope": scope,
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1800000061.700",
        "X-RateLimit-Reset-After": named["X-RateLimit-Reset-After"],
        "X-RateLimit-Bucket": LIMITS[0].hash,
    }
    assert float(named["X-RateLimit-Reset-After"]) == pytest.approx(61.7, abs=0.002)
    assert limited.invalid_requests == invalid
    assert [(await ask(limited, "GET", path)).status for path in (messages, "/users/@me")] == [200, 200]
    clock.now += 61.8
    assert (await ask(limited, "POST", messages, {"content": "hello"})).status == 200
    assert len(limited.premature_requests) == 1


async def test_an_imposed_limit_applies_to_a_route_without_one(limited: DiscordServer) -> None:
    limited.inject("GET", "/users/@me$", rate_limit(283.4))
    assert [(await ask(limited, "GET", path)).status for path in ("/users/@me", "/users/@me", "/gateway")] == [
        429,
        429,
        200,
    ]


async def test_cloudflare_limits_everything_with_a_page(limited: DiscordServer, clock: ManualClock[float]) -> None:
    messages, webhook = paths(limited)
    limited.inject("GET", "/messages$", rate_limit(30, "cloudflare"))
    answers = [await ask(limited, "GET", path) for path in (messages, "/users/@me", f"{webhook}/messages/@original")]

    assert [answer.status for answer in answers] == [429] * 3
    for answer in answers:
        assert answer.text.startswith("<!DOCTYPE html>")
        assert answer.headers["Retry-After"] == "30"
        assert not [name for name in answer.headers if name.startswith(("X-RateLimit", "Via"))]
    clock.now += 30
    assert (await ask(limited, "GET", messages)).status == 200


async def test_the_longer_of_two_limits_is_reported(limited: DiscordServer) -> None:
    messages, _ = paths(limited)
    limited.inject("POST", "/messages$", rate_limit(90))
    limited.inject("GET", "/users/@me$", rate_limit(20, "global"))
    await ask(limited, "POST", messages, {"content": "hello"})
    await ask(limited, "GET", "/users/@me")
    assert (await ask(limited, "POST", messages, {"content": "hello"})).json["retry_after"] == 90
    assert (await ask(limited, "GET", messages)).json["retry_after"] == 20


async def test_no_interaction_response_meets_the_global_limit(limited: DiscordServer) -> None:
    _, webhook = paths(limited)
    limited.inject(".*", ".", rate_limit(25, "global"))
    assert (await ask(limited, "GET", f"{webhook}/messages/@original")).status == 200
    assert limited.injected == {}


async def test_discord_py_waits_for_a_limit(
    limited: DiscordServer, clock: ManualClock[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages, _ = paths(limited)
    limited.rest.imposed.clock = time.time
    limited.inject("POST", "/messages$", rate_limit(0.2, "global"))
    monkeypatch.setattr(Route, "BASE", limited.api_url)
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login(limited.token)
        await client.get_partial_messageable(int(messages.split("/")[2])).send("hello")
    assert [each.status for each in limited.sent("POST", MESSAGES)] == [429, 200]
    assert limited.premature_requests == []


@pytest.mark.parametrize("status", [400, 429])
async def test_the_daily_quota_of_commands_applies_only_to_them(limited: DiscordServer, status: int) -> None:
    commands = f"/applications/{limited.world.application.id}/commands"
    limited.inject("PUT", "/commands$", daily_quota(3600, status))
    refused = await ask(limited, "PUT", commands, [])
    assert (refused.status, refused.json["code"], refused.json["retry_after"]) == (status, 30034, 3600)
    assert (refused.headers["Retry-After"], refused.headers["Via"]) == ("3600", "1.1 google")
    assert (await ask(limited, "PUT", commands, [])).status == 200
