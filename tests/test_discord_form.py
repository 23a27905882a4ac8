"""Discord's limits on messages, as the loopback Discord checks them."""

from collections.abc import Callable
from typing import Any, TypeAlias

import aiohttp
import pytest

from discord_server import DiscordServer, Flag, Permission
from discord_server.error import ApiError
from discord_server.form import check_message, check_nonce, check_thread

Body: TypeAlias = dict[str, Any]


def text(length: int) -> Body:
    return {"type": 10, "content": "x" * length}


def embed(fields: int, name: str = "x", value: str = "x") -> Body:
    return {"fields": [{"name": name, "value": value}] * fields}


def button(custom_id: str = "a", label: str = "Go") -> Body:
    return {"type": 2, "style": 1, "custom_id": custom_id, "label": label}


def buttons(number: int) -> list[Body]:
    return [button(f"button {each}") for each in range(number)]


def select(options: int = 1, **more: str) -> Body:
    choices = [{"label": str(each), "value": str(each)} for each in range(options)]
    return {"type": 3, "custom_id": "select", "options": choices} | more


def row(*components: Body) -> Body:
    return {"type": 1, "components": list(components)}


def container(*components: Body) -> Body:
    return {"type": 17, "components": list(components)}


def section(*, accessory: Body) -> Body:
    return {"type": 9, "components": [text(1)], "accessory": accessory}


def problems(check: Callable[[], None]) -> dict[str, list[str]]:
    """Return the error codes by dotted path in the body."""
    try:
        check()
    except ApiError as error:
        return dict(leaves(error.payload()["errors"]))
    return {}


def leaves(tree: Body, path: str = "") -> list[tuple[str, list[str]]]:
    if "_errors" in tree:
        return [(path, [each["code"] for each in tree["_errors"]])]
    return [leaf for key, branch in tree.items() for leaf in leaves(branch, f"{path}.{key}".lstrip("."))]


TOO_LONG = ["BASE_TYPE_MAX_LENGTH"]
BAD_LENGTH = ["BASE_TYPE_BAD_LENGTH"]
REQUIRED = ["BASE_TYPE_REQUIRED"]
TWICE = ["COMPONENT_CUSTOM_ID_DUPLICATED"]
LEGACY = ["MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"]


@pytest.mark.parametrize(
    ("allowed", "refused", "found"),
    [
        ({"content": "x" * 2000}, {"content": "x" * 2001}, {"content": TOO_LONG}),
        ({"embeds": [{}] * 10}, {"embeds": [{}] * 11}, {"embeds": TOO_LONG}),
        ({"embeds": [{"title": "x" * 256}]}, {"embeds": [{"title": "x" * 257}]}, {"embeds.0.title": TOO_LONG}),
        (
            {"embeds": [{"description": "x" * 4096}]},
            {"embeds": [{"description": "x" * 4097}]},
            {"embeds.0.description": TOO_LONG},
        ),
        (
            {"embeds": [{"footer": {"text": "x" * 2048}}]},
            {"embeds": [{"footer": {"text": "x" * 2049}}]},
            {"embeds.0.footer.text": TOO_LONG},
        ),
        ({"embeds": [embed(25)]}, {"embeds": [embed(26)]}, {"embeds.0.fields": TOO_LONG}),
        (
            {"embeds": [embed(1, "x" * 256, "x" * 1024)]},
            {"embeds": [embed(1, "x" * 257, "x" * 1025)]},
            {"embeds.0.fields.0.name": BAD_LENGTH, "embeds.0.fields.0.value": BAD_LENGTH},
        ),
        (
            {"embeds": [{"description": "x" * 3000}, {"description": "x" * 3000}]},
            {"embeds": [{"description": "x" * 3000}, {"description": "x" * 3001}]},
            {"embeds": ["MAX_EMBED_SIZE_EXCEEDED"]},
        ),
        (
            {"components": [row(*buttons(5))]},
            {"components": [row(*buttons(6))]},
            {"components.0.components": BAD_LENGTH},
        ),
        ({"components": [row(select())]}, {"components": [row()]}, {"components.0.components": BAD_LENGTH}),
        (
            {"components": [row(button(label="x" * 80))]},
            {"components": [row(button(label="x" * 81))]},
            {"components.0.components.0.label": TOO_LONG},
        ),
        (
            {"components": [row(button("x" * 100))]},
            {"components": [row(button("x" * 101))]},
            {"components.0.components.0.custom_id": TOO_LONG},
        ),
        (
            {"components": [row({"type": 2, "style": 5, "url": "https://example.com"})]},
            {"components": [row({"type": 2, "style": 5}, {"type": 2, "style": 1})]},
            {"components.0.components.0.url": REQUIRED, "components.0.components.1.custom_id": REQUIRED},
        ),
        (
            {"components": [row(button("a"), button("b"))]},
            {"components": [row(button("a")), row(button("a"))]},
            {"components.0.components.0.custom_id": TWICE, "components.1.components.0.custom_id": TWICE},
        ),
        (
            {"components": [row(select(25, placeholder="x" * 150))]},
            {"components": [row(select(26, placeholder="x" * 151))]},
            {"components.0.components.0.placeholder": TOO_LONG, "components.0.components.0.options": BAD_LENGTH},
        ),
        (
            {"components": [row(button())]},
            {"components": [row(select(), button())]},
            {"components.0.components": ["COMPONENT_LAYOUT_WIDTH_EXCEEDED"]},
        ),
        ({"components": [row(button())]}, {"components": [text(1)]}, {"components.0.type": ["UNION_TYPE_CHOICES"]}),
    ],
)
def test_a_limit_on_messages_is_exact(allowed: Body, refused: Body, found: dict[str, list[str]]) -> None:
    assert problems(lambda: check_message(allowed, components_v2=False)) == {}
    assert problems(lambda: check_message(refused, components_v2=False)) == found


@pytest.mark.parametrize(
    ("allowed", "refused", "found"),
    [
        (
            [container(*[text(1)] * 39)],
            [container(*[text(1)] * 40)],
            {"components": ["COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED"]},
        ),
        (
            [container(*[text(1)] * 36, section(accessory=button()))],
            [container(*[text(1)] * 37, section(accessory=button()))],
            {"components": ["COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED"]},
        ),
        (
            [text(3999), container(text(1))],
            [text(4000), container(text(1))],
            {"components": ["COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED"]},
        ),
        ([text(1)], [text(0)], {"components.0.content": BAD_LENGTH}),
        (
            [section(accessory=button("a"))],
            [section(accessory=button("a")), row(button("a"))],
            {"components.0.accessory.custom_id": TWICE, "components.1.components.0.custom_id": TWICE},
        ),
    ],
)
def test_a_limit_on_layouts_is_exact(allowed: list[Body], refused: list[Body], found: dict[str, list[str]]) -> None:
    assert problems(lambda: check_message({"components": allowed}, components_v2=True)) == {}
    assert problems(lambda: check_message({"components": refused}, components_v2=True)) == found


@pytest.mark.parametrize(("key", "value"), [("content", "hello"), ("embeds", [{"title": "hello"}])])
def test_a_layout_excludes_other_content(key: str, value: Any) -> None:
    body = {"components": [text(1)], key: value}
    assert problems(lambda: check_message(body, components_v2=True)) == {key: LEGACY}


@pytest.mark.parametrize(
    ("check", "allowed", "refused", "found"),
    [
        (check_nonce, {"nonce": "x" * 25}, {"nonce": "x" * 26}, {"nonce": TOO_LONG}),
        (check_thread, {"name": "x" * 100}, {"name": "x" * 101}, {"name": BAD_LENGTH}),
        (check_thread, {"name": "x"}, {}, {"name": BAD_LENGTH}),
    ],
)
def test_nonces_and_names_are_limited(
    check: Callable[[Body], None], allowed: Body, refused: Body, found: dict[str, list[str]]
) -> None:
    assert problems(lambda: check(allowed)) == {}
    assert problems(lambda: check(refused)) == found


async def test_a_form_error_names_each_invalid_field() -> None:
    async with DiscordServer() as server:
        channel = server.add_guild("Pythonistas").add_text_channel("general")
        answer = await ask(server, "POST", f"/channels/{channel.id}/messages", {"content": "x" * 2001})
        wrong = {"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}
        assert answer == {
            "code": 50035,
            "message": "Invalid Form Body",
            "errors": {"content": {"_errors": [wrong]}},
        }
        assert server.messages_in(channel) == []


async def test_an_edit_cannot_add_content_to_a_layout() -> None:
    async with DiscordServer() as server:
        channel = server.add_guild("Pythonistas").add_text_channel("general")
        message = channel.post(server.world.bot, {"flags": int(Flag.COMPONENTS_V2), "components": [text(1)]})
        path = f"/channels/{channel.id}/messages/{message.id}"
        answer = await ask(server, "PATCH", path, {"content": "hello"})
        assert leaves(answer["errors"]) == [("content", LEGACY)]
        assert (message.content, message.edited_at) == ("", None)


async def test_a_message_with_an_embed_becomes_a_layout_only_without_it() -> None:
    async with DiscordServer() as server:
        channel = server.add_guild("Pythonistas").add_text_channel("general")
        message = channel.post(server.world.bot, {"embeds": [{"title": "hello"}]})
        path = f"/channels/{channel.id}/messages/{message.id}"
        layout = {"flags": int(Flag.COMPONENTS_V2), "components": [text(1)]}
        answer = await ask(server, "PATCH", path, layout)
        assert leaves(answer["errors"]) == [("embeds", LEGACY)]
        await ask(server, "PATCH", path, layout | {"embeds": []})
        assert (message.text, message.embeds) == ("x", [])


async def test_a_forbidden_embed_is_dropped_silently_unless_it_is_the_only_content() -> None:
    async with DiscordServer() as server:
        channel = server.add_guild("Pythonistas").add_text_channel("general")
        channel.forbid(Permission.EMBED_LINKS)
        path, embeds = f"/channels/{channel.id}/messages", [{"title": "hello"}]
        assert (await ask(server, "POST", path, {"embeds": embeds}))["code"] == 50013
        assert (await ask(server, "POST", path, {"content": "look", "embeds": embeds}))["embeds"] == []
        assert [message.text for message in server.messages_in(channel)] == ["look"]


async def ask(server: DiscordServer, method: str, path: str, body: Body) -> Body:
    headers = {"Authorization": f"Bot {server.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, server.api_url + path, json=body) as answer,
    ):
        found: Body = await answer.json()
        return found
