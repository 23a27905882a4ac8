"""Interactions are acknowledged before a change: whatever fails, nothing changes twice, and everyone gets a response.

Each case has its own server. Its state after a fault is compared with the state after the same use without a fault.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

import pytest
from discord import app_commands
from sqlalchemy.ext.asyncio import AsyncConnection

from discord_server import Interaction, request_fault
from interaction_changes import CHANGES, Change, Discord, Place, Uses, online
from weekbot.bot import acknowledgement
from weekbot.bot.buttons import member_buttons, panel_buttons
from weekbot.bot.buttons.routing import BUTTONS
from weekbot.bot.cards import custom_ids
from weekbot.db.database import Database

CALLBACK, FOLLOW_UP = r"/interactions/\d+/[^/]+/callback$", r"/webhooks/\d+/"
READ_ONLY = {
    *("framework", "compare", "topic current", "topic list", "topic show", "topic random", "progress", "help"),
    *("privacy export", "privacy delete", "weekly preview", "weekly status"),
}


@pytest.fixture
async def discord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Discord]:
    """The bot in the loopback Discord; records writes that begin too early."""
    async with online(tmp_path) as discord:
        write = Database.write

        @asynccontextmanager
        async def recording(database: Database) -> AsyncIterator[AsyncConnection]:
            discord.record_write()
            async with write(database) as connection:
                yield connection

        monkeypatch.setattr(Database, "write", recording)
        yield discord


# Faults: each function uses the command or button, maybe several times, and returns the interactions to be answered


async def no_fault(_: Discord, place: Place, use: Uses) -> list[Interaction]:
    return [use(place)]


async def refused_callback(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """The acknowledgement is too late; the member tries again."""
    before = await place.state()
    discord.server.fail_next("POST", CALLBACK, 404, {"code": 10062, "message": "Unknown interaction"})
    requests_before = len(discord.server.requests)
    discord.unwatch(use(place))
    await discord.server.until(
        lambda: any("/callback" in each.call.path for each in discord.server.requests[requests_before:])
    )
    assert await place.state() == before, "changed though the acknowledgement was refused"
    return [use(place)]


async def lost_confirmation(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """Discord accepts the acknowledgement, but its response is lost; the member tries again."""
    discord.server.cut_next("POST", CALLBACK, takes_effect=True)
    first = use(place)
    await discord.wait_until_answered(first)
    return [first, use(place)]


async def silence(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """Discord accepts the acknowledgement, but never responds, and the connection stays open."""
    discord.server.inject("POST", CALLBACK, request_fault.held().carried_out())
    with patch.object(acknowledgement, "TIMEOUT_SECONDS", 0.5):
        first = use(place)
        await discord.wait_until_answered(first)
    return [first, use(place)]


async def no_confirmation(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """Discord accepts the acknowledgement, but confirms neither it nor its repetition."""
    before = await place.state()
    discord.server.inject("POST", CALLBACK, request_fault.html(502).carried_out())
    discord.server.inject("POST", CALLBACK, request_fault.refusal(404, 10062))
    first = use(place)
    await discord.wait_until_answered(first)
    assert first.text.startswith("Discord didn't confirm")
    assert await place.state() == before
    return [use(place)]


async def lost_acknowledgement(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """A proxy responds with 502 although Discord accepted the acknowledgement."""
    discord.server.inject("POST", CALLBACK, request_fault.html(502).carried_out())
    first = use(place)
    await discord.wait_until_answered(first)
    return [first, use(place)]


async def lost_answer(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """The response after the acknowledgement never arrives; the member tries again."""
    plan = discord.server.inject("POST|PATCH", FOLLOW_UP, request_fault.refusal(404, 10015))
    use(place)
    await discord.server.until(lambda: plan.times < 1)
    return [use(place)]


async def same_event_twice(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    first = use(place)
    discord.server.replay(first)
    await discord.wait_until_answered(first)
    discord.server.replay(first)
    return [first]


async def double_click(_: Discord, place: Place, use: Uses) -> list[Interaction]:
    return [use(place), use(place)]


async def locked_database(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """Another program holds the write lock; the member, who sees no response, tries again."""
    async with discord.locked():
        both = [use(place)]
        await discord.server.until(lambda: both[0].acknowledged is not None)
        both.append(use(place))
        await discord.server.until(lambda: both[1].acknowledged is not None)
        assert [each.text for each in both if each.answered] == []
    return both


FAULTS = [
    refused_callback,
    lost_confirmation,
    silence,
    no_confirmation,
    lost_acknowledgement,
    lost_answer,
    same_event_twice,
    double_click,
    locked_database,
]
Fault: TypeAlias = Callable[[Discord, Place, Uses], Awaitable[list[Interaction]]]


async def state_after(discord: Discord, change: Change, fault: Fault) -> dict[str, Any]:
    """Return the server's state after the use with a fault, when all interactions have been answered."""
    place = await discord.place(change)
    await discord.wait_until_answered(*await fault(discord, place, lambda place: discord.watch(change.use(place))))
    return await place.state()


@cache
def expected() -> dict[str, dict[str, Any]]:
    """The state after each change without a fault, filled by the first test that runs."""
    return {}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_changes_twice_or_before_it_is_acknowledged(discord: Discord, fault: Fault) -> None:
    wrong = {}
    for change in CHANGES:
        if change.name not in expected():
            expected()[change.name] = await state_after(discord, change, no_fault)
        found = await state_after(discord, change, fault)
        if found != expected()[change.name]:
            wrong[change.name] = (found, expected()[change.name])
    assert wrong == {}
    assert discord.early_writes == []


# Completeness


async def test_every_command_is_listed_as_a_change_or_as_read_only(discord: Discord) -> None:
    found = {
        each.qualified_name
        for each in discord.app.registration.tree.walk_commands()
        if isinstance(each, app_commands.Command)
    }
    assert found == READ_ONLY | {each.name[1:] for each in CHANGES if each.name.startswith("/")}


def test_every_button_that_changes_something_is_tested() -> None:
    changing = {each.template for each in BUTTONS if each.changes}
    assert changing == {each.template for each in member_buttons.BUTTONS} - {custom_ids.QUIZ} | {custom_ids.ACTION}
    actions = {*panel_buttons.ACTIONS, *panel_buttons.ACTIONS_ON_NEXT}
    assert {f"button {each}" for each in actions} < {each.name for each in CHANGES}
