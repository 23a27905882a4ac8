"""Every button and select: pressed by members and moderators, twice, after a restart, and after content changes."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import discord
import pytest
from simcord import MemberActor

from discord_server.component import walk
from fakes import FakeClock
from matrix import (
    GONE,
    MANAGE_SERVER_NEEDED,
    NOT_SUBSCRIBED,
    Payload,
    assert_says,
    cell,
    current_payload,
    finished,
    paused,
    posted,
    press,
    pressable,
    remove,
    remove_track,
    rename,
    state,
    subscribed,
)
from simulation import Answer, Simulation
from weekbot.bot.cards import custom_ids
from weekbot.content.library import Library

Message: TypeAlias = Answer | discord.Message
CHANNELS = 12  # more than one page of the status


@pytest.fixture
async def simulation(
    tmp_path: Path, clock: FakeClock, library: Library, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Simulation]:
    async with cell(tmp_path, clock, library, caplog) as simulation:
        yield simulation


# Messages with buttons


async def quiz(simulation: Simulation) -> Message:
    return await simulation.click(await posted(simulation), label="Quiz me")


async def lookup(simulation: Simulation) -> Message:
    return await simulation.slash("framework", name="flask", by=simulation.member)


async def lookup_of_django(simulation: Simulation) -> Message:
    return await simulation.slash("framework", name="django", by=simulation.member)


async def track(simulation: Simulation) -> Message:
    return await simulation.slash("topic list", track="web", by=simulation.member)


async def second_page(simulation: Simulation) -> Message:
    listed = await track(simulation)
    await simulation.click(listed, label="Next")
    return listed


async def deletion(simulation: Simulation) -> Message:
    await finished(simulation)
    return await simulation.slash("privacy delete", by=simulation.member)


async def status(simulation: Simulation) -> Message:
    await subscribed(simulation)
    return await simulation.slash("weekly status")


async def long_status(simulation: Simulation) -> Message:
    await subscribed(simulation)
    for number in range(1, CHANNELS):
        await simulation.slash("weekly subscribe", at=simulation.guild.create_text_channel(f"c{number}"))
    return await simulation.slash("weekly status")


async def panel(simulation: Simulation) -> Message:
    shown = await status(simulation)
    await simulation.click(shown, by=simulation.moderator, label="Manage")
    return shown


async def paused_panel(simulation: Simulation) -> Message:
    await paused(simulation)
    shown = await simulation.slash("weekly status")
    await simulation.click(shown, by=simulation.moderator, label="Manage")
    return shown


@dataclass(frozen=True)
class Press:
    """A button or an option of a message, and the expected response.

    `again` is the expected response to the same press on the original message afterwards. Default: `says`.
    """

    kind: str
    on: Callable[[Simulation], Awaitable[Message]]
    label: str
    says: str
    again: str | None = None

    def __str__(self) -> str:
        return f"{self.label} on {self.on.__name__}"

    @property
    def for_moderators(self) -> bool:
        return self.on in (status, long_status, panel, paused_panel)

    async def prepare(self, simulation: Simulation) -> tuple[Payload, Payload]:
        """Return the message in the channel, and the data of the press."""
        message = current_payload(simulation, await self.on(simulation))
        data = pressable(message, self.label)
        assert re.fullmatch(self.kind, data["custom_id"])
        return message, data

    def by(self, simulation: Simulation) -> MemberActor:
        return simulation.moderator if self.for_moderators else simulation.member


PRESSES = [
    Press(custom_ids.MORE, posted, "More", "## Flask\n"),
    Press(custom_ids.FINISHED, posted, "I finished it", "## Flask: finished", again="You finished it"),
    Press(custom_ids.QUIZ, posted, "Quiz me", "## Flask: quiz"),
    Press(custom_ids.TAKE_BACK, finished, "Take it back", "**Flask** no longer counts as finished."),
    Press(custom_ids.ANSWER, quiz, "B", "Your first answer counts", again="this one was for practice"),
    Press(custom_ids.FORGET, deletion, "Delete everything", "Deleted."),
    Press(custom_ids.FORGET, deletion, "Keep it", "Nothing was deleted."),
    Press(custom_ids.TOPIC, lookup, "Django", "## Django\n"),
    Press(custom_ids.SECTIONS, lookup, "quiz", "## Flask: Quiz"),
    Press(custom_ids.TRACK, track, "Next", "11. **"),
    Press(custom_ids.OPEN, track, "django", "## Django\n"),
    Press(custom_ids.STATUS, long_status, "Next", "11 to 12 of 12"),
    Press(custom_ids.STATUS, panel, "All channels", "1 channel · ✅ all good"),
    Press(custom_ids.MANAGE, status, "Manage", "Next: **Flask**"),
    Press(custom_ids.PREVIEW, panel, "Preview", "This week: Flask"),
    Press(custom_ids.ACTION, panel, "Post now", "Posted [Flask](", again="I already posted [Flask]("),
    Press(custom_ids.ACTION, panel, "Skip next topic", "Skipped **Flask**", again="I already skipped **Flask**"),
    Press(custom_ids.ACTION, panel, "Pause", "is paused; no topic is lost", again="is already paused"),
    Press(custom_ids.ACTION, paused_panel, "Resume", ">: **Flask**", again="isn't paused. Next: **Flask**"),
    Press(custom_ids.ACTION, panel, "Unsubscribe", "gets no more weekly topics", again="already has no weekly topic"),
]


def each_press(presses: list[Press]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", presses, ids=str)


# Pressed once and twice


@each_press(PRESSES)
async def test_a_press_has_its_effect_and_a_second_press_on_the_original_message_changes_nothing(
    simulation: Simulation, case: Press
) -> None:
    message, data = await case.prepare(simulation)
    [answer] = await press(simulation, message, data, case.by(simulation))
    assert_says(answer, case.says)
    before = await state(simulation)
    [answer] = await press(simulation, message, data, case.by(simulation))
    assert_says(answer, case.again or case.says)
    assert await state(simulation) == before


@each_press(PRESSES)
async def test_a_double_click_does_what_one_click_does(simulation: Simulation, case: Press) -> None:
    once, twice = simulation, simulation.another_server()
    for place, times in ((once, 1), (twice, 2)):
        answers = await press(place, *await case.prepare(place), case.by(place), times)
        for answer in answers:
            assert_says(answer, "")
        assert any(expected in answer.text for answer in answers for expected in (case.says, case.again or case.says))
    assert await state(twice) == await state(once)


async def test_every_button_works_after_a_restart(simulation: Simulation) -> None:
    places = [(case, simulation.another_server()) for case in PRESSES]
    prepared = [await case.prepare(place) for case, place in places]
    await simulation.restart()
    for (case, place), (message, data) in zip(places, prepared, strict=True):
        [answer] = await press(place, message, data, case.by(place))
        assert_says(answer, case.says)


# Permissions


@each_press([case for case in PRESSES if case.for_moderators])
async def test_a_plain_member_may_not_use_moderators_buttons(simulation: Simulation, case: Press) -> None:
    message, data = await case.prepare(simulation)
    before = await state(simulation)
    [answer] = await press(simulation, message, data, simulation.member)
    assert_says(answer, MANAGE_SERVER_NEEDED)
    assert await state(simulation) == before


# Changed content


RENAMED = [
    Press(custom_ids.MORE, posted, "More", "## Jug\n"),
    Press(custom_ids.FINISHED, posted, "I finished it", "## Jug: finished"),
    Press(custom_ids.QUIZ, posted, "Quiz me", "## Jug: quiz"),
    Press(custom_ids.TAKE_BACK, finished, "Take it back", "**Jug** no longer counts as finished."),
    Press(custom_ids.ANSWER, quiz, "B", "Your first answer counts"),
    Press(custom_ids.TOPIC, lookup_of_django, "Flask", "## Jug\n"),
    Press(custom_ids.SECTIONS, lookup, "quiz", "## Jug: Quiz"),
    Press(custom_ids.TRACK, second_page, "Previous", "1. **Jug**"),
    Press(custom_ids.OPEN, track, "flask", "## Jug\n"),
    Press(custom_ids.STATUS, panel, "All channels", "Next: **Jug**"),
    Press(custom_ids.MANAGE, status, "Manage", "Next: **Jug**"),
    Press(custom_ids.PREVIEW, panel, "Preview", "This week: Jug"),
    Press(custom_ids.ACTION, panel, "Post now", "Posted [Jug]("),
    Press(custom_ids.ACTION, panel, "Skip next topic", "Skipped **Jug**"),
    Press(custom_ids.ACTION, panel, "Pause", "continues with **Jug**"),
    Press(custom_ids.ACTION, paused_panel, "Resume", ">: **Jug**"),
]
REMOVED = [
    Press(custom_ids.MORE, posted, "More", GONE),
    Press(custom_ids.FINISHED, posted, "I finished it", GONE),
    Press(custom_ids.QUIZ, posted, "Quiz me", GONE),
    Press(custom_ids.TAKE_BACK, finished, "Take it back", GONE),
    Press(custom_ids.ANSWER, quiz, "B", GONE),
    Press(custom_ids.TOPIC, lookup_of_django, "Flask", GONE),
    Press(custom_ids.SECTIONS, lookup, "quiz", GONE),
    Press(custom_ids.TRACK, second_page, "Previous", "1. **Django**"),
    Press(custom_ids.OPEN, track, "flask", GONE),
    Press(custom_ids.STATUS, panel, "All channels", "Next: **Django**"),
    Press(custom_ids.MANAGE, status, "Manage", "Next: **Django**"),
    Press(custom_ids.PREVIEW, panel, "Preview", "This week: Django"),
    Press(custom_ids.ACTION, panel, "Post now", "a different topic is next now"),
    Press(custom_ids.ACTION, panel, "Skip next topic", "a different topic is next now"),
    Press(custom_ids.ACTION, panel, "Pause", "continues with **Django**"),
    Press(custom_ids.ACTION, paused_panel, "Resume", ">: **Django**"),
]
WITHOUT_TOPIC = {custom_ids.FORGET}  # doesn't show a topic


@each_press(RENAMED)
async def test_a_press_shows_a_renamed_topic(simulation: Simulation, case: Press) -> None:
    message, data = await case.prepare(simulation)
    rename(simulation, "flask", "Jug")
    [answer] = await press(simulation, message, data, case.by(simulation))
    assert_says(answer, case.says)


@each_press(REMOVED)
async def test_a_press_reports_a_removed_topic(simulation: Simulation, case: Press) -> None:
    message, data = await case.prepare(simulation)
    remove(simulation, "flask")
    [answer] = await press(simulation, message, data, case.by(simulation))
    assert_says(answer, case.says)


async def test_progress_is_kept_when_a_topic_is_renamed(simulation: Simulation) -> None:
    await finished(simulation)
    [post] = simulation.posts()
    await simulation.click(await simulation.click(post, label="Quiz me"), label="B")
    before = await state(simulation)
    rename(simulation, "flask", "Jug")
    assert "You finished it" in (await simulation.click(post, label="I finished it")).text
    quiz_again = await simulation.click(post, label="Quiz me")
    assert "this one was for practice" in (await simulation.click(quiz_again, label="A")).text
    progress = (await simulation.slash("progress", by=simulation.member)).text
    assert "**1** of " in progress
    assert " of 1 quiz right" in progress
    assert await state(simulation) == before


async def test_a_page_of_a_removed_track_points_to_the_list(simulation: Simulation) -> None:
    message = current_payload(simulation, await track(simulation))
    remove_track(simulation, "web")
    [answer] = await press(simulation, message, pressable(message, "Next"), simulation.member)
    assert_says(answer, "This track is no longer available. `/topic list` shows the available tracks.")


# Outdated and invalid ids


OUTDATED = [
    (custom_ids.MORE, "weekbot:more:preview:gone", GONE),
    (custom_ids.MORE, custom_ids.more(custom_ids.rehearsal_id("7f3a2c9d", 1), "flask"), "## Flask\n"),
    (custom_ids.FINISHED, "weekbot:finished:gone", GONE),
    (custom_ids.TAKE_BACK, "weekbot:unfinished:gone", GONE),
    (custom_ids.TAKE_BACK, "weekbot:unfinished:numpy", "**NumPy** no longer counts as finished."),
    (custom_ids.QUIZ, "weekbot:quiz:gone", GONE),
    (custom_ids.ANSWER, "weekbot:answer:flask:00000000:1", "This quiz has changed. Press *Quiz me* again."),
    (custom_ids.FORGET, "weekbot:forget:yes", "Deleted."),
    (custom_ids.TOPIC, "weekbot:topic:gone", GONE),
    (custom_ids.SECTIONS, "weekbot:sections:gone", GONE),
    (custom_ids.SECTIONS, "weekbot:sections:flask", "This topic no longer has that section."),
    (custom_ids.TRACK, "weekbot:track:web:999", "## Web frameworks"),
    (custom_ids.TRACK, "weekbot:track:gone:0", "This track is no longer available."),
    (custom_ids.OPEN, "weekbot:open", GONE),
    (custom_ids.STATUS, "weekbot:status:999999", "Next: **Flask**"),
    (custom_ids.MANAGE, "weekbot:manage:1", NOT_SUBSCRIBED),
    (custom_ids.PREVIEW, "weekbot:do:preview:1", NOT_SUBSCRIBED),
    *((custom_ids.ACTION, f"weekbot:do:{action}:1", NOT_SUBSCRIBED) for action in ("post", "skip", "pause")),
    *((custom_ids.ACTION, f"weekbot:do:{action}:1:flask", NOT_SUBSCRIBED) for action in ("resume", "unsubscribe")),
]


def with_id(message: Payload, custom_id: str) -> tuple[Payload, Payload]:
    """Return the message with this id on its first button, and the data of its press."""
    changed = deepcopy(message)
    button = next(part for part in walk(changed["components"]) if "custom_id" in part)
    button["custom_id"] = custom_id
    return changed, {"custom_id": custom_id, "component_type": button["type"]}


async def test_an_outdated_id_is_explained_and_changes_nothing(simulation: Simulation) -> None:
    message = current_payload(simulation, await panel(simulation))
    before = await state(simulation)
    for _, custom_id, says in OUTDATED:
        [answer] = await press(simulation, *with_id(message, custom_id), simulation.moderator)
        assert_says(answer, says)
    assert await state(simulation) == before


async def test_a_channel_of_another_server_cannot_be_managed(simulation: Simulation) -> None:
    elsewhere = simulation.another_server()
    message = current_payload(elsewhere, await panel(elsewhere))
    await subscribed(simulation)
    before = await state(simulation)
    for action in ("preview", "post", "skip", "pause", "resume", "unsubscribe"):
        custom_id = custom_ids.action(action, simulation.text.id)
        [answer] = await press(elsewhere, *with_id(message, custom_id), elsewhere.moderator)
        assert_says(answer, NOT_SUBSCRIBED)
    assert await state(simulation) == before


# Completeness


KINDS = {pattern for name, pattern in vars(custom_ids).items() if name.isupper() and name[0] != "_"}


def test_every_kind_of_custom_id_is_covered() -> None:
    assert {case.kind for case in PRESSES} == {kind for kind, *_ in OUTDATED} == KINDS
    assert {case.kind for case in RENAMED} == {case.kind for case in REMOVED} == KINDS - WITHOUT_TOPIC


def test_every_action_on_a_channel_is_covered() -> None:
    found = re.search(r"<action>([a-z|]+)", custom_ids.ACTION)
    assert found
    actions = set(found[1].split("|"))
    assert len([case for case in PRESSES if case.kind == custom_ids.ACTION]) == len(actions)
    assert {custom_id.split(":")[2] for kind, custom_id, _ in OUTDATED if kind == custom_ids.ACTION} == actions
