"""The loopback Discord's registration of commands, including by other programs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bare_client import ask
from discord_server import DiscordServer
from discord_server import request_fault as faults
from discord_server.request_fault import RequestFault

HELLO: dict[str, Any] = {"name": "hello", "description": "Says hello."}
LAUNCH: dict[str, Any] = {"name": "launch", "type": 4, "handler": 2}


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


@pytest.fixture
def path(server: DiscordServer) -> str:
    return f"/applications/{server.world.application.id}/commands"


async def test_an_entry_point_cannot_be_omitted(server: DiscordServer, path: str) -> None:
    entry_point = server.world.commands.add_entry_point()
    refused = await ask(server, "PUT", path, [HELLO])
    assert (refused.status, refused.json["code"]) == (400, 50240)
    assert server.world.commands.of() == [entry_point]

    accepted = await ask(server, "PUT", path, [HELLO, LAUNCH])
    assert [(each["name"], each["type"]) for each in accepted.json] == [("hello", 1), ("launch", 4)]
    assert accepted.json[1]["id"] == str(entry_point.id)
    assert (await ask(server, "GET", path)).json[1]["handler"] == 2


async def test_an_entry_point_can_be_deleted_explicitly(server: DiscordServer, path: str) -> None:
    entry_point = server.world.commands.add_entry_point()
    assert (await ask(server, "DELETE", f"{path}/{entry_point.id}")).status == 204
    assert (await ask(server, "PUT", path, [HELLO])).status == 200


async def test_an_application_without_an_entry_point_needs_none(server: DiscordServer, path: str) -> None:
    server.world.commands.add_entry_point()
    guild = server.add_guild("Pythonistas")
    in_guild = path.replace("/commands", f"/guilds/{guild.id}/commands")
    assert (await ask(server, "PUT", in_guild, [HELLO])).status == 200


async def test_another_program_can_replace_the_commands(server: DiscordServer, path: str) -> None:
    await ask(server, "PUT", path, [HELLO])
    server.world.commands.replace(0, [{"name": "goodbye", "description": "Says goodbye."}])
    assert [each["name"] for each in (await ask(server, "GET", path)).json] == ["goodbye"]
    server.world.commands.replace(0, [])
    assert (await ask(server, "GET", path)).json == []


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (faults.daily_quota(3600), 429, 30034),
        (faults.daily_quota(3600, status=400), 400, 30034),
        (faults.refusal(403, 50001), 403, 50001),
        (faults.refusal(500), 500, 0),
    ],
)
async def test_registration_can_be_refused(
    server: DiscordServer, path: str, fault: RequestFault, status: int, code: int
) -> None:
    server.inject("PUT", "/commands$", fault)
    refused = await ask(server, "PUT", path, [HELLO])
    assert (refused.status, refused.json["code"]) == (status, code)
    assert server.world.commands.of() == []
    assert (await ask(server, "PUT", path, [HELLO])).status == 200
