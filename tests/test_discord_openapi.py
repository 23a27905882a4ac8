"""The loopback Discord's checks of requests and responses against Discord's OpenAPI document."""

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from discord_server import DiscordServer, openapi
from discord_server.openapi import violations, violations_of_answer

MESSAGES = "/channels/1/messages"


@pytest.fixture(autouse=True)
def document() -> Path:
    if (path := openapi.find()) is None:
        pytest.skip(f"Discord's OpenAPI document is neither at {openapi.BESIDE} nor where {openapi.VARIABLE} says")
    return path


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("POST", MESSAGES, {}, {"content": "hello", "nonce": "1", "enforce_nonce": True, "tts": False}),
        ("GET", MESSAGES, {"limit": "100", "after": "5"}, None),
        ("GET", "/channels/1/messages/pins", {"limit": "50"}, None),
        ("POST", "/channels/1/messages/2/crosspost", {}, None),
        ("POST", "/webhooks/1/token", {"wait": "true"}, {"content": "hello"}),
        ("POST", "/interactions/1/token/callback", {"with_response": "1"}, {"type": 5}),
    ],
)
def test_a_valid_request_is_not_a_violation(method: str, path: str, query: dict[str, str], body: Any) -> None:
    assert violations(method, path, query, body) == []


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "message"),
    [
        ("GET", "/nothing/here", {}, None, "no such operation"),
        ("PATCH", MESSAGES, {}, {}, "no such operation"),
        ("GET", "/channels/general", {}, None, 'channel_id: .* "general" does not match'),
        ("GET", MESSAGES, {"limit": "101"}, None, "limit: .*"),
        ("GET", MESSAGES, {"since": "1"}, None, "since: no such query parameter"),
        ("GET", "/guilds/1/messages/search", {"limit": "many"}, None, "limit: "),
        ("GET", MESSAGES, {}, {"limit": 5}, "takes no body"),
        ("POST", MESSAGES, {}, None, "a body is required"),
        ("POST", MESSAGES, {}, {"contents": "hello"}, "'contents' was unexpected"),
        ("POST", MESSAGES, {}, {"content": "x" * 4001}, "content: "),
        ("POST", MESSAGES, {}, {"components": [{"type": 10}]}, 'components/0: "content" is a required property'),
    ],
)
def test_an_invalid_request_is_described(
    method: str, path: str, query: dict[str, str], body: Any, message: str
) -> None:
    [violation] = violations(method, path, query, body)
    start, found = violation.split(": ", 1)
    assert start == f"{method} {path}"
    assert re.search(message, found)


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "message"),
    [
        ("GET", "/gateway", 200, {"url": 5}, "url: 5 is not of type"),
        ("GET", "/gateway", 204, None, "this status is not documented, just 200, 429, 4XX"),
        ("GET", "/gateway", 404, {"message": "404: Not Found"}, '"code" is a required property'),
        ("GET", "/gateway", 429, {"code": 0, "message": "", "global": True}, '"retry_after" is a required property'),
        ("PUT", "/channels/1/messages/pins/2", 204, {}, "has no body"),
    ],
)
def test_responses_are_checked(method: str, path: str, status: int, body: Any, message: str) -> None:
    [violation] = violations_of_answer(method, path, status, body)
    assert re.search(message, violation)


async def test_a_server_with_a_violation_fails_at_its_end() -> None:
    with pytest.raises(AssertionError, match="GET /nothing: no such operation"):
        async with DiscordServer() as server:
            await get(server, "/nothing")


async def test_a_server_without_checks_does_not_fail() -> None:
    async with DiscordServer(check=False) as server:
        await get(server, "/nothing")
    assert not server.violations


async def test_violations_do_not_hide_another_error() -> None:
    async def fail() -> None:
        async with DiscordServer() as server:
            await get(server, "/nothing")
            raise LookupError("the reason")

    with pytest.raises(LookupError, match="the reason"):
        await fail()


async def test_an_injected_fault_is_not_a_violation() -> None:
    async with DiscordServer() as server:
        server.fail_next("GET", "/gateway$", 503)
        await get(server, "/gateway")
    assert [each.status for each in server.requests] == [503]


async def get(server: DiscordServer, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(server.api_url + path):
        pass


def test_without_the_document_nothing_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(openapi.VARIABLE, str(tmp_path / "nothing.json"))
    assert violations("GET", "/nothing/here", {}, None) == []
