"""Every interaction gets a response, even a malformed one: the whole bot over the loopback Discord."""

import logging
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from discord_server import DiscordServer, Interaction, Message, event_fault
from discord_server.error import CODES
from discord_server.routes.interactions import CALLBACK, ORIGINAL, WEBHOOK
from discord_server.thread import Thread
from places import until
from running_bot import Place, running_bot
from weekbot.bot.cards import custom_ids
from weekbot.bot.responses import incident, suggestions
from weekbot.i18n.language import Language, languages

SUBSCRIBED = "gets a topic each week"
INCIDENT = re.compile(r"`([0-9a-f]{8})`")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with running_bot(tmp_path) as place:
        yield place


def logged(caplog: pytest.LogCaptureFixture, min_level: int = logging.ERROR) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= min_level and each.name != "asyncio"]


def assert_explained(answer: Interaction, caplog: pytest.LogCaptureFixture) -> None:
    """Check for a private error message with the logged incident id."""
    assert answer.ephemeral
    assert "Something went wrong on my side" in answer.text
    [incident] = INCIDENT.findall(answer.text)
    assert [each.incident for each in caplog.records if hasattr(each, "incident")] == [incident]


# Interactions that discord.py can't parse


@pytest.fixture
def thread(place: Place) -> Thread:
    """A thread that isn't in the bot's cache."""
    body = {"name": "corner"}
    return Thread.open(place.channel, place.server.world.bot, place.server.world.snowflakes.next(), body)


async def test_a_thread_with_only_the_documented_fields_can_be_chosen(place: Place, thread: Thread) -> None:
    thread.publish()
    await until(lambda: place.app.client.get_channel(thread.parent.id))
    answer = await place.server.interact(place.channel, "weekly subscribe", {"channel": thread}, documented=True)
    assert SUBSCRIBED in answer.text


async def test_a_command_in_an_unknown_thread_with_only_the_documented_fields_works(
    place: Place, thread: Thread
) -> None:
    for field in ("owner_id", "message_count", "member_count"):
        place.server.gateway.mangle("INTERACTION_CREATE", event_fault.without(f"channel.{field}"))
    for _ in range(3):
        answer = await place.server.interact(thread, "framework", {"name": "flask"})
        assert "## Flask" in answer.text


async def test_an_unparsable_option_gets_an_incident_id(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    fault = event_fault.without("data.resolved.channels.*.name")
    place.server.gateway.mangle("INTERACTION_CREATE", fault)
    answer = await place.server.interact(place.channel, "weekly pause", {"channel": place.channel})
    assert_explained(answer, caplog)


@pytest.mark.parametrize("field", ["attachment_size_limit", "member.user", "version"])
async def test_an_unparsable_command_gets_an_incident_id(
    place: Place, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    place.server.gateway.mangle("INTERACTION_CREATE", event_fault.without(field))
    assert_explained(await place.server.interact(place.channel, "framework", {"name": "flask"}), caplog)


async def test_an_unparsable_autocomplete_gets_an_incident_id(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.server.gateway.mangle("INTERACTION_CREATE", event_fault.without("version"))
    [choice] = await place.server.autocomplete(place.channel, "framework", {"name": "fla"})
    [incident] = [each.incident for each in caplog.records if hasattr(each, "incident")]
    assert incident in choice["name"]


@pytest.mark.parametrize("value", [["list"], None, "12x"], ids=repr)
async def test_an_interaction_without_a_valid_id_is_logged_and_sends_no_request(
    place: Place, caplog: pytest.LogCaptureFixture, value: object
) -> None:
    place.server.gateway.mangle("INTERACTION_CREATE", event_fault.with_value("id", value))
    place.server.invoke(place.channel, "framework", {"name": "flask"})
    assert "## Flask" in (await place.server.interact(place.channel, "framework", {"name": "flask"})).text
    assert [each.split(" (")[0] for each in logged(caplog, logging.WARNING)] == [
        "INTERACTION_CREATE can't be parsed and is dropped"
    ]
    assert not place.server.unknown_requests


@pytest.mark.parametrize("path", ["message.flags", "message.components.0.type", "message.author", "message.timestamp"])
async def test_a_button_of_an_unparsable_message_works(place: Place, path: str) -> None:
    post = await place.post()
    place.server.gateway.mangle("INTERACTION_CREATE", event_fault.without(path))
    answer = await place.server.click(post, custom_ids.quiz("flask"))
    assert "## Flask: quiz" in answer.text


Use = Callable[[Place, Message, Thread], Interaction]
USES: dict[str, Use] = {
    "command": lambda place, *_: place.server.invoke(place.channel, "weekly preview", {"channel": place.channel}),
    "thread": lambda place, _, thread: place.server.invoke(
        place.channel, "weekly preview", {"channel": thread}, documented=True
    ),
    "button": lambda place, post, _: place.server.press(post, custom_ids.quiz("flask")),
    "suggestions": lambda place, *_: place.server.type_option(place.channel, "framework", {"name": "fla"}),
}
UNANSWERABLE = re.compile(r"(without )?(id|token|type)\b")
"""Faults after which no response is possible: the interaction's id, token or type is unreadable."""


@pytest.mark.long
@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_every_interaction_with_one_malformed_part_gets_a_response(
    place: Place, thread: Thread, use: Use
) -> None:
    thread.publish()
    post = await place.post()
    valid = use(place, post, thread)
    await place.server.until(lambda: valid.answered)
    for fault in event_fault.everywhere(valid.event):
        if not UNANSWERABLE.match(fault.kind):
            place.server.gateway.mangle("INTERACTION_CREATE", fault)
            malformed = use(place, post, thread)
            await place.server.until(lambda malformed=malformed: malformed.answered, fault.kind)  # type: ignore[misc]


# Errors in weekbot


async def test_failing_autocomplete_offers_an_incident_id(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place.app.live.current, "suggest", lambda _: 1 / 0)
    [choice] = await place.server.autocomplete(place.channel, "framework", {"name": "fla"})
    [incident] = [each.incident for each in caplog.records if hasattr(each, "incident")]
    assert incident in choice["name"]
    assert choice["value"] == "fla"


@pytest.mark.parametrize("tr", languages(), ids=lambda tr: tr.locale)
def test_an_incident_id_fits_into_a_suggestion(tr: Language) -> None:
    sentence = incident(tr, "made to fail")
    [found] = INCIDENT.findall(sentence)
    [suggestion] = suggestions(sentence, [{"name": "name", "value": "x" * 6000, "focused": True}])
    assert found in suggestion.name
    assert max(len(suggestion.name), len(suggestion.value)) <= 100


@pytest.mark.parametrize("kind", ["framework", "button"])
async def test_an_unexpected_error_gets_an_incident_id(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    post = await place.post()
    monkeypatch.setattr(place.app.client, "should_respond", lambda _: 1 / 0)
    if kind == "button":
        answer = await place.server.click(post, custom_ids.quiz("flask"))
    else:
        answer = await place.server.interact(place.channel, "framework", {"name": "flask"})
    assert_explained(answer, caplog)


# Remains of older versions


@pytest.mark.parametrize("values", [None, ["flask"]], ids=["button", "select"])
@pytest.mark.parametrize("custom_id", ["weekbot:more:abc", "weekbot:learn:flask", "weekbot", "another's"])
async def test_a_button_of_an_older_version_is_explained(
    place: Place, caplog: pytest.LogCaptureFixture, custom_id: str, values: list[str] | None
) -> None:
    message = place.channel.post(place.server.world.bot, {"content": "an old post"})
    answer = await place.server.click(message, custom_id, values, unchecked=True)
    assert answer.ephemeral
    assert answer.text.startswith("This button is from an older version")
    assert logged(caplog, logging.WARNING) == []


async def test_a_form_of_an_older_version_is_explained(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    answer = await place.server.submit(place.channel, "weekbot:feedback")
    assert answer.ephemeral
    assert answer.text.startswith("This form is from an older version")
    assert logged(caplog, logging.WARNING) == []


REMOVED = ["learn start now", "learn", "weekly", "weekly repeat", "help me", "framework now then"]


@pytest.mark.parametrize("command", REMOVED)
async def test_a_removed_command_is_explained(place: Place, caplog: pytest.LogCaptureFixture, command: str) -> None:
    answer = await place.server.interact(place.channel, command, unchecked=True)
    assert answer.ephemeral
    assert answer.text.startswith("This command is from an older version")
    assert logged(caplog, logging.WARNING) == []


@pytest.mark.parametrize("kind", [2, 3, 4, 5])
async def test_a_removed_command_of_another_kind_is_explained(
    place: Place, caplog: pytest.LogCaptureFixture, kind: int
) -> None:
    place.server.gateway.mangle("INTERACTION_CREATE", event_fault.with_value("data.type", kind))
    answer = await place.server.interact(place.channel, "learn", unchecked=True)
    assert answer.text.startswith("This command is from an older version")
    assert logged(caplog, logging.WARNING) == []


@pytest.mark.parametrize(("command", "option"), [("learn start", "name"), ("framework", "title"), ("compare", "third")])
async def test_autocomplete_of_a_removed_option_is_explained(
    place: Place, caplog: pytest.LogCaptureFixture, command: str, option: str
) -> None:
    [choice] = await place.server.autocomplete(place.channel, command, {option: "fla"}, unchecked=True)
    assert choice["name"].startswith("This command is from an older version")
    assert choice["value"] == "fla"
    assert logged(caplog, logging.WARNING) == []


@pytest.mark.parametrize(("command", "options"), [("framework", {"title": "flask"}), ("framework", {})])
async def test_a_command_with_unknown_options_is_explained(
    place: Place, caplog: pytest.LogCaptureFixture, command: str, options: dict[str, Any]
) -> None:
    answer = await place.server.interact(place.channel, command, options, unchecked=True)
    assert answer.text.startswith("This command is from an older version")
    assert logged(caplog, logging.WARNING) == []


# In a server that the bot isn't in, or that isn't loaded yet


@pytest.mark.parametrize("state", [{"joined": False}, {"available": False}], ids=["not in it", "not loaded"])
async def test_moderators_commands_and_buttons_ask_for_an_invite_in_an_unknown_server(
    place: Place, state: dict[str, bool]
) -> None:
    channel = place.server.add_guild("Elsewhere", **state).add_text_channel("general")
    message = channel.post(place.server.world.bot, {"content": "an old panel"})
    weekly: Any = place.app.registration.tree.get_command("weekly")
    required = {"next": {"topic": "flask"}, "reset": {"option": "next"}, "settings": {"timezone": "Europe/Berlin"}}
    answers = [
        await place.server.interact(channel, f"weekly {each.name}", required.get(each.name, {}))
        for each in weekly.commands
    ]
    ids = [custom_ids.status(0), custom_ids.manage(channel.id)]
    ids += [custom_ids.action(action, channel.id) for action in ("preview", "pause", "resume", "unsubscribe")]
    ids += [custom_ids.action(action, channel.id, "flask") for action in ("post", "skip")]
    answers += [await place.server.click(message, custom_id, unchecked=True) for custom_id in ids]
    for answer in answers:
        assert answer.ephemeral
        assert answer.text.startswith("Add me to this server first: <https://discord.com/oauth2/authorize?")
    assert len(answers) >= 18
    assert not await place.app.repositories.subscriptions.of_guild(channel.guild.id)
    assert channel.guild.id not in await place.app.repositories.guilds.present_ids()
    assert (await place.app.repositories.guilds.settings(channel.guild.id)).timezone == "UTC"


async def test_lookups_work_in_an_unknown_server(place: Place) -> None:
    channel = place.server.add_guild("Elsewhere", joined=False).add_text_channel("general")
    assert "## Flask" in (await place.server.interact(channel, "framework", {"name": "flask"})).text


# Responses that Discord refuses


def refuse(server: DiscordServer, method: str, path: str, code: int) -> None:
    status, message = CODES[code]
    server.fail_next(method, re.sub(r"\{\w+\}", "[^/]+", path) + "$", status, {"code": code, "message": message})


@pytest.mark.parametrize("code", [10008, 50083])
async def test_a_change_is_kept_and_confirmed_if_the_panel_was_deleted(
    place: Place, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    await place.post()
    panel = await place.panel()
    refuse(place.server, "PATCH", ORIGINAL, code)
    pressed = await place.server.click(panel, custom_ids.action("post", place.channel.id, "django"))
    [followup] = pressed.followups
    assert followup.ephemeral
    assert "Posted [Django]" in followup.text
    assert logged(caplog) == []


async def test_a_page_is_sent_as_a_new_message_if_its_message_was_deleted(place: Place) -> None:
    listed = await place.server.interact(place.channel, "topic list")
    refuse(place.server, "POST", CALLBACK, 10008)
    pressed = await place.server.click(listed, custom_ids.track("everything", 1))
    assert pressed.ephemeral
    assert pressed.answer is not listed.answer
    assert "11. **" in pressed.text


async def test_a_change_is_confirmed_if_the_panel_cannot_be_rendered(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.post()
    panel = await place.panel()
    monkeypatch.setattr("weekbot.bot.buttons.panel_buttons.manage_card", lambda *_: 1 / 0)
    pressed = await place.server.click(panel, custom_ids.action("post", place.channel.id, "django"))
    assert "Posted [Django]" in pressed.text
    assert pressed.ephemeral


HARMLESS_CODES = [10008, 10015, 10062, 40060, 50027, 50083]


@pytest.mark.parametrize("code", HARMLESS_CODES)
async def test_a_refused_response_is_not_logged_as_an_error(
    place: Place, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    refuse(place.server, "POST", CALLBACK, code)
    place.server.invoke(place.channel, "framework", {"name": "flask"})
    await until(lambda: logged(caplog, logging.WARNING))
    others = [each for each in logged(caplog) if not each.startswith("another program uses the bot's token")]
    assert others == []


@pytest.mark.parametrize("code", HARMLESS_CODES)
async def test_a_refused_response_to_an_unparsed_interaction_is_not_an_unexpected_error(
    place: Place, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    place.server.gateway.mangle("INTERACTION_CREATE", event_fault.without("version"))
    refuse(place.server, "POST", CALLBACK, code)
    place.server.invoke(place.channel, "framework", {"name": "flask"})
    await until(
        lambda: any(each.startswith("a response could not be sent") for each in logged(caplog, logging.WARNING))
    )
    assert not [each for each in logged(caplog) if each.startswith("unexpected error")]


@pytest.mark.parametrize("code", HARMLESS_CODES)
async def test_a_refused_follow_up_is_not_logged_as_an_error(
    place: Place, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    await place.server.interact(place.channel, "weekly subscribe")
    refuse(place.server, "POST", WEBHOOK, code)
    place.server.invoke(place.channel, "weekly post")
    await until(lambda: logged(caplog, logging.WARNING))
    assert logged(caplog) == []
