"""Option values that clients and moderators may send, over the loopback Discord."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from discord import app_commands

from discord_server import Interaction, Permission
from discord_server.role import Role
from discord_server.thread import Thread
from discord_server.user import Member
from places import until
from running_bot import Place, running_bot
from weekbot.bot.commands.translator import CommandTranslator

SUBSCRIBED = "gets a topic each week"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """The bot with all permissions."""
    async with running_bot(tmp_path, Permission.ADMINISTRATOR) as place:
        yield place


# A role to ping


@pytest.fixture
def moderator(place: Place) -> Member:
    """A moderator who may not mention everyone."""
    return place.guild.add_member("ada", place.guild.add_role("moderators", Permission.MANAGE_GUILD))


async def subscribe(place: Place, by: Member, ping: Role) -> str:
    return (await place.server.interact(place.channel, "weekly subscribe", {"ping": ping}, member=by)).text


async def test_a_role_that_the_moderator_may_not_ping_is_refused(place: Place, moderator: Member) -> None:
    admins, learners = place.guild.add_role("admins"), place.guild.add_role("learners", mentionable=True)
    assert "You aren't allowed to ping" in await subscribe(place, moderator, admins)
    assert await place.app.repositories.subscriptions.of_channel(place.channel.id) is None
    assert SUBSCRIBED in await subscribe(place, moderator, learners)
    assert "You aren't allowed to ping" in await subscribe(place, moderator, admins)
    assert "Changed" in await subscribe(place, place.guild.owner, admins)


async def test_the_moderators_permission_to_ping_depends_on_the_channel(place: Place, moderator: Member) -> None:
    admins, other = place.guild.add_role("admins"), place.guild.add_text_channel("other")
    may_ping = Permission.VIEW_CHANNEL | Permission.SEND_MESSAGES | Permission.MENTION_EVERYONE
    place.channel.overwrite(moderator, allow=may_ping)
    options = {"ping": admins, "channel": other}
    answer = await place.server.interact(place.channel, "weekly subscribe", options, member=moderator)
    assert "You aren't allowed to ping" in answer.text
    assert SUBSCRIBED in await subscribe(place, moderator, admins)


# The name of a suggestion or choice instead of its value

LOCALES = ("en-US", "de", "es-419", "fr", "pt-BR")


def commands(place: Place) -> list[app_commands.Command[Any, ..., Any]]:
    return [each for each in place.app.registration.tree.walk_commands() if isinstance(each, app_commands.Command)]


async def use(place: Place, command: str, options: dict[str, Any], by: Member) -> Interaction:
    """Use a command with these options, and with valid values for missing required ones."""
    required = {"framework": {"name": "flask"}, "compare": {"first": "django", "second": "numpy"}}
    given = required.get(command, {}) | options
    return await place.server.interact(place.channel, command, given, member=by, unchecked=True)


def member(place: Place, locale: str) -> Member:
    moderators = place.guild.add_role("moderators", Permission.ADMINISTRATOR)
    return place.guild.add_member("ada", moderators, locale=locale)


@pytest.mark.parametrize("locale", LOCALES)
async def test_the_name_of_a_suggestion_is_equivalent_to_its_value(place: Place, locale: str) -> None:
    by, covered = member(place, locale), set()
    await place.server.interact(place.channel, "weekly subscribe")
    for command in commands(place):
        for option in filter(lambda each: each.autocomplete, command.parameters):
            name = command.qualified_name
            for typed in ("", "w", "utc+2"):
                given = {option.name: typed}
                for choice in (await place.server.autocomplete(place.channel, name, given, member=by))[:2]:
                    by_value = await use(place, name, {option.name: choice["value"]}, by)
                    by_name = await use(place, name, {option.name: choice["name"]}, by)
                    assert by_name.text == by_value.text, choice
                    covered.add((name, option.name))
    assert len(covered) == 10


@pytest.mark.parametrize("locale", LOCALES)
async def test_the_name_of_a_choice_is_equivalent_to_its_value(place: Place, locale: str) -> None:
    by, covered, translator = member(place, locale), set(), CommandTranslator()
    await place.server.interact(place.channel, "weekly subscribe")
    for command in commands(place):
        payload: Any = await command.get_translated_payload(place.app.registration.tree, translator)
        for option in payload["options"]:
            for choice in option.get("choices", []):
                shown = choice.get("name_localizations", {}).get(locale, choice["name"])
                by_value = await use(place, command.qualified_name, {option["name"]: choice["value"]}, by)
                by_name = await use(place, command.qualified_name, {option["name"]: shown}, by)
                assert by_name.text == by_value.text, choice
                covered.add(option["name"])
    assert covered == {"section", "day", "option"}


# Threads


async def test_an_archived_thread_can_be_chosen(place: Place) -> None:
    body = {"name": "corner"}
    thread = Thread.open(place.channel, place.guild.owner.user, place.server.world.snowflakes.next(), body)
    thread.publish()
    assert SUBSCRIBED in (await place.server.interact(place.channel, "weekly subscribe", {"channel": thread})).text
    thread.edit({"archived": True})
    await until(lambda: place.app.client.get_channel(thread.id) is None)
    for command in ("pause", "resume", "preview", "skip", "subscribe", "unsubscribe"):
        answer = await place.server.interact(
            place.channel, f"weekly {command}", {"channel": thread}, documented=True, deferred_too=True
        )
        assert "can't see" not in answer.text, command
        assert "went wrong" not in answer.text, command
    assert "gets no more weekly topics" in answer.text


async def test_a_deleted_thread_cannot_be_chosen(place: Place) -> None:
    body = {"name": "corner"}
    thread = Thread.open(place.channel, place.guild.owner.user, place.server.world.snowflakes.next(), body)
    thread.publish()
    thread.delete()
    answer = await place.server.interact(place.channel, "weekly pause", {"channel": thread})
    assert "I can't see what you chose" in answer.text
