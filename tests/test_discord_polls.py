"""The loopback Discord's polls, system messages, and message content intent."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bare_client import ask
from discord_server import Channel, DiscordServer, Permission
from discord_server.application import MESSAGE_CONTENT
from discord_server.message import FOLLOW_NOTICE, PIN_NOTICE, POLL_RESULT


def poll(*answers: str, **more: Any) -> dict[str, Any]:
    listed = [{"poll_media": {"text": answer}} for answer in answers]
    return {"poll": {"question": {"text": "Which one next?"}, "answers": listed, **more}}


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(limits=None) as server:
        yield server


@pytest.fixture
def channel(server: DiscordServer) -> Channel:
    guild = server.add_guild("Pythonistas")
    guild.bot_role.permissions |= Permission.SEND_POLLS
    return guild.add_text_channel("weekly")


@pytest.fixture
def path(channel: Channel) -> str:
    return f"/channels/{channel.id}/messages"


def kinds(channel: Channel) -> list[int]:
    return [message.kind for message in channel.history()]


async def test_a_poll_can_be_sent_voted_in_and_ended(server: DiscordServer, channel: Channel, path: str) -> None:
    sent = (await ask(server, "POST", path, poll("Flask", "Django", duration=2))).json
    assert [answer["poll_media"]["text"] for answer in sent["poll"]["answers"]] == ["Flask", "Django"]
    assert sent["poll"]["results"] == {"answer_counts": [], "is_finalized": False}

    stored = channel.messages[int(sent["id"])]
    assert stored.poll
    stored.poll.vote(channel.guild.owner.id, 2)
    counts = [{"id": 2, "count": 1, "me_voted": False}]
    assert (await ask(server, "GET", f"{path}/{sent['id']}")).json["poll"]["results"]["answer_counts"] == counts

    end = f"/channels/{channel.id}/polls/{sent['id']}/expire"
    assert (await ask(server, "POST", end)).json["poll"]["results"]["is_finalized"]
    assert (await ask(server, "POST", end)).json["code"] == 520001
    result, _ = (await ask(server, "GET", path)).json
    assert (result["type"], result["message_reference"]["message_id"]) == (POLL_RESULT, sent["id"])


async def test_only_a_poll_can_be_ended_and_it_cannot_be_edited(
    server: DiscordServer, channel: Channel, path: str
) -> None:
    sent_poll = (await ask(server, "POST", path, poll("Flask"))).json
    assert (await ask(server, "PATCH", f"{path}/{sent_poll['id']}", {"content": "?"})).json["code"] == 520003
    sent_message = (await ask(server, "POST", path, {"content": "?"})).json
    assert (await ask(server, "POST", f"/channels/{channel.id}/polls/{sent_message['id']}/expire")).json[
        "code"
    ] == 520006


@pytest.mark.parametrize(
    "body",
    [
        poll(),
        poll(*"abcdefghijk"),
        poll("x" * 56),
        poll("a", duration=769),
        poll("a") | {"poll": {"question": {"text": ""}, "answers": [{"poll_media": {"text": "a"}}]}},
    ],
)
async def test_a_poll_has_limits(server: DiscordServer, path: str, body: Any) -> None:
    assert (await ask(server, "POST", path, body)).json["code"] == 50035
    server.violations.clear()


async def test_a_poll_requires_its_permission(server: DiscordServer, channel: Channel, path: str) -> None:
    channel.forbid(Permission.SEND_POLLS)
    assert (await ask(server, "POST", path, poll("Flask"))).json["code"] == 50013
    assert (await ask(server, "POST", path, {"content": "hello"})).status == 200


async def test_a_pin_is_announced_once(server: DiscordServer, channel: Channel, path: str) -> None:
    message = channel.post(server.world.bot, {"content": "topic"})
    for _ in range(2):
        await ask(server, "PUT", f"{path}/pins/{message.id}")
    notice = (await ask(server, "GET", path)).json[0]
    assert kinds(channel) == [0, PIN_NOTICE]
    assert notice["message_reference"]["message_id"] == str(message.id)


async def test_a_follow_is_announced_and_lasts_until_the_webhook_is_deleted(
    server: DiscordServer, channel: Channel
) -> None:
    channel.guild.bot_role.permissions |= Permission.MANAGE_WEBHOOKS
    news = channel.guild.add_announcement_channel("news")
    body = {"webhook_channel_id": str(channel.id)}
    followed = (await ask(server, "POST", f"/channels/{news.id}/followers", body)).json
    assert kinds(channel) == [FOLLOW_NOTICE]
    webhook = f"/webhooks/{followed['webhook_id']}"
    assert [(await ask(server, "DELETE", webhook)).status for _ in range(2)] == [204, 404]
    assert not news.followers


@pytest.mark.parametrize("reads", [True, False])
async def test_the_content_of_others_messages_requires_the_intent(
    server: DiscordServer, channel: Channel, path: str, reads: bool
) -> None:
    if reads:
        server.world.application = replace(server.world.application, flags=MESSAGE_CONTENT)
    channel.post(channel.guild.owner.user, {"content": "hello", "embeds": [{"type": "rich", "title": "Flask"}]})
    channel.post(channel.guild.owner.user, {"content": f"hello <@{server.world.bot.id}>"})
    channel.post(server.world.bot, {"content": "hello"})
    own, mention, other = (await ask(server, "GET", path)).json
    assert own["content"]
    assert mention["content"]
    assert (bool(other["content"]), bool(other["embeds"])) == (reads, reads)
