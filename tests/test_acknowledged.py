"""Acknowledge, then change: whatever goes wrong meanwhile, nothing is changed twice, and everyone is answered.

Each case has a server of its own, in which what a fault leaves behind is compared with what the same use leaves behind
when all goes well.
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

from changing import CHANGES, Change, Discord, Place, Uses, online
from discord_server import Interaction, request_fault
from weekbot.bot import acknowledgement
from weekbot.bot.buttons import member_buttons, panel_buttons
from weekbot.bot.buttons.routing import BUTTONS
from weekbot.bot.cards import custom_ids
from weekbot.db.database import Database

CALLBACK, FOLLOW_UP = r"/interactions/\d+/[^/]+/callback$", r"/webhooks/\d+/"
READING = {
    *("framework", "compare", "topic current", "topic list", "topic show", "topic random", "progress", "help"),
    *("privacy export", "privacy delete", "weekly preview", "weekly status"),
}


@pytest.fixture
async def discord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Discord]:
    """It notes writes that begin too early."""
    async with online(tmp_path) as discord:
        write = Database.write

        @asynccontextmanager
        async def noted(database: Database) -> AsyncIterator[AsyncConnection]:
            discord.writes()
            async with write(database) as connection:
                yield connection

        monkeypatch.setattr(Database, "write", noted)
        yield discord


# What can go wrong: each makes the same use, maybe several times, and returns the interactions that must be answered


async def nothing_wrong(_: Discord, place: Place, use: Uses) -> list[Interaction]:
    return [use(place)]


async def refused_callback(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """The acknowledgement comes too late; the member tries again."""
    before = await place.state()
    discord.server.fail_next("POST", CALLBACK, 404, {"code": 10062, "message": "Unknown interaction"})
    refused = len(discord.server.requests)
    discord.unwatch(use(place))
    await discord.server.until(lambda: any("/callback" in each.call.path for each in discord.server.requests[refused:]))
    assert await place.state() == before, "changed though the acknowledgement was refused"
    return [use(place)]


async def lost_confirmation(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """Discord takes the acknowledgement, but its confirmation is lost; the member does the same again."""
    discord.server.cut_next("POST", CALLBACK, takes_effect=True)
    first = use(place)
    await discord.answered(first)
    return [first, use(place)]


async def silence(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """Discord takes the acknowledgement, but nothing is heard of it, and the connection stays open."""
    discord.server.inject("POST", CALLBACK, request_fault.held().carried_out())
    with patch.object(acknowledgement, "TIMEOUT_SECONDS", 0.5):
        first = use(place)
        await discord.answered(first)
    return [first, use(place)]


async def no_confirmation(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """Discord takes the acknowledgement, and neither it nor its repetition is confirmed."""
    before = await place.state()
    discord.server.inject("POST", CALLBACK, request_fault.html(502).carried_out())
    discord.server.inject("POST", CALLBACK, request_fault.refusal(404, 10062))
    first = use(place)
    await discord.answered(first)
    assert first.text.startswith("Discord didn't confirm")
    assert await place.state() == before
    return [use(place)]


async def lost_acknowledgement(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """A proxy answers 502 although Discord took the acknowledgement."""
    discord.server.inject("POST", CALLBACK, request_fault.html(502).carried_out())
    first = use(place)
    await discord.answered(first)
    return [first, use(place)]


async def lost_answer(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """The answer that follows the acknowledgement never arrives; the member does the same again."""
    plan = discord.server.inject("POST|PATCH", FOLLOW_UP, request_fault.refusal(404, 10015))
    use(place)
    await discord.server.until(lambda: plan.times < 1)
    return [use(place)]


async def same_event_twice(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    first = use(place)
    discord.server.replay(first)
    await discord.answered(first)
    discord.server.replay(first)
    return [first]


async def double_click(_: Discord, place: Place, use: Uses) -> list[Interaction]:
    return [use(place), use(place)]


async def locked_database(discord: Discord, place: Place, use: Uses) -> list[Interaction]:
    """Another program holds the write lock; the member, who sees no answer, does the same again."""
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


async def left_by(discord: Discord, change: Change, fault: Fault) -> dict[str, Any]:
    """The state that the use leaves behind under a fault, once everyone who waits has been answered."""
    place = await discord.place(change)
    await discord.answered(*await fault(discord, place, lambda place: discord.watch(change.use(place))))
    return await place.state()


@cache
def expected() -> dict[str, dict[str, Any]]:
    """By change, what it leaves behind when all goes well: filled by the first test that runs here."""
    return {}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_changed_twice_nor_before_it_is_acknowledged(discord: Discord, fault: Fault) -> None:
    wrong = {}
    for change in CHANGES:
        if change.name not in expected():
            expected()[change.name] = await left_by(discord, change, nothing_wrong)
        found = await left_by(discord, change, fault)
        if found != expected()[change.name]:
            wrong[change.name] = (found, expected()[change.name])
    assert wrong == {}
    assert discord.early == []


# Nothing is left out


async def test_every_command_is_known_to_change_something_or_only_to_read(discord: Discord) -> None:
    found = {
        each.qualified_name
        for each in discord.app.registration.tree.walk_commands()
        if isinstance(each, app_commands.Command)
    }
    assert found == READING | {each.name[1:] for each in CHANGES if each.name.startswith("/")}


def test_every_button_that_changes_something_is_tried() -> None:
    changing = {each.template for each in BUTTONS if each.changes}
    assert changing == {each.template for each in member_buttons.BUTTONS} - {custom_ids.QUIZ} | {custom_ids.ACTION}
    actions = {*panel_buttons.ACTIONS, *panel_buttons.ACTIONS_ON_NEXT}
    assert {f"button {each}" for each in actions} < {each.name for each in CHANGES}
