"""Members' progress: finished topics, quizzes, and the data stored about them."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import MONDAY, FakeClock
from simulation import Answer, Simulation, simulated
from test_library import library_of
from weekbot.bot.cards import custom_ids, member_cards
from weekbot.content.library import Library
from weekbot.db.database import Database
from weekbot.domain.progress import Progress, summarize_progress, weeks_in_a_row
from weekbot.i18n.language import ENGLISH
from weekbot.store.members import ForgottenError, Members
from weekbot.store.subscriptions import Subscriptions

ADA, BOB = 1, 2
WEEK = MONDAY.date()
"""The week of each topic that is finished on that Monday."""


@pytest.fixture
def members(database: Database) -> Members:
    return Members(database)


@pytest.fixture
async def simulation(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Simulation]:
    async with simulated(tmp_path, clock) as simulation:
        await simulation.slash("weekly subscribe", start="flask")
        await simulation.next_week()
        yield simulation


# The store


async def test_finishing_a_topic_again_changes_nothing(members: Members) -> None:
    first = Progress(ADA, "flask", finished_at=MONDAY, finished_week=WEEK)
    await members.add(first)
    await members.add(replace(first, finished_at=MONDAY + timedelta(days=1)))
    assert await members.of(ADA) == [first]


async def test_finishing_and_quiz_answers_are_recorded_independently(members: Members) -> None:
    await members.add(Progress(ADA, "flask", quiz_right=False, quiz_at=MONDAY))
    await members.add(Progress(ADA, "flask", finished_at=MONDAY))
    await members.add(Progress(ADA, "flask", quiz_right=True, quiz_at=MONDAY + timedelta(days=1)))
    assert await members.of(ADA) == [Progress(ADA, "flask", MONDAY, False, MONDAY, WEEK)]


async def test_concurrent_presses_are_each_counted_once(database: Database) -> None:
    members = Members(database, timedelta(milliseconds=20))
    presses = [Progress(member, "flask", finished_at=MONDAY) for member in range(100) for _ in range(2)]
    results = await asyncio.gather(*map(members.add, presses))
    assert [len(await members.of(member)) for member in range(100)] == [1] * 100
    assert [kept.new for kept in results] == [True, False] * 100
    assert [[row.member_id for row in kept.rows] for kept in results] == [
        [member] for member in range(100) for _ in "ab"
    ]


async def test_adding_progress_returns_all_rows_of_the_member(members: Members) -> None:
    await members.add(Progress(ADA, "numpy", MONDAY))
    later = Progress(ADA, "flask", quiz_right=True, quiz_at=MONDAY + timedelta(days=1))
    kept = await members.add(later)
    assert (kept.row, kept.new, list(kept.rows)) == (
        later,
        True,
        [Progress(ADA, "numpy", MONDAY, finished_week=WEEK), later],
    )
    again = await members.add(replace(later, quiz_right=False, quiz_at=MONDAY + timedelta(days=2)))
    assert (again.row, again.new, again.rows) == (later, False, kept.rows)


async def test_a_renamed_topic_keeps_its_first_recorded_name(members: Members) -> None:
    await members.add(Progress(ADA, "jug", MONDAY))
    kept = await members.add(Progress(ADA, "flask", quiz_right=True, quiz_at=MONDAY), {"jug", "flask"}.__contains__)
    assert await members.of(ADA) == [kept.row] == [Progress(ADA, "jug", MONDAY, True, MONDAY, WEEK)]


async def test_taking_back_keeps_the_quiz_and_forgetting_deletes_only_this_member(
    members: Members,
) -> None:
    await members.add(Progress(ADA, "flask", MONDAY, True, MONDAY))
    await members.add(Progress(ADA, "numpy", MONDAY))
    await members.add(Progress(BOB, "flask", MONDAY))
    await members.take_back(ADA, "flask")
    await members.take_back(ADA, "numpy")
    assert await members.of(ADA) == [Progress(ADA, "flask", None, True, MONDAY)]
    assert await members.forget(ADA, MONDAY) == 1
    assert await members.of(ADA) == []
    assert await members.of(BOB) == [Progress(BOB, "flask", MONDAY, finished_week=WEEK)]


async def test_a_press_before_the_deletion_is_not_recorded_after_it(
    database: Database,
) -> None:
    """Presses are committed in groups, so the deletion can overtake them."""
    members = Members(database, timedelta(milliseconds=20))
    await members.add(Progress(ADA, "numpy", MONDAY))
    confirmed = MONDAY + timedelta(seconds=10)
    added = (
        Progress(ADA, "flask", MONDAY),
        Progress(ADA, "django", quiz_right=True, quiz_at=MONDAY),
        Progress(BOB, "flask", MONDAY),
    )
    before = confirmed - timedelta(seconds=1)
    pressed = [asyncio.create_task(members.add(each, pressed_at=before)) for each in added]
    await asyncio.sleep(0)  # the presses are queued
    await members.forget(ADA, confirmed)
    await asyncio.gather(*pressed, return_exceptions=True)
    assert await members.of(ADA) == []
    assert len(await members.of(BOB)) == 1
    with pytest.raises(ForgottenError):
        await members.add(Progress(ADA, "flask", MONDAY), pressed_at=before)
    assert await members.of(ADA) == []
    later = await members.add(Progress(ADA, "flask", MONDAY), pressed_at=confirmed + timedelta(seconds=1))
    assert await members.of(ADA) == [later.row]


async def test_a_press_that_is_recorded_during_the_deletion_is_deleted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    members, recording, recorded = Members(database), asyncio.Event(), asyncio.Event()
    write = members._commits.write

    async def delayed_write(*arguments: Any) -> Any:
        recording.set()
        await recorded.wait()
        return await write(*arguments)

    monkeypatch.setattr(members._commits, "write", delayed_write)
    pressed = asyncio.create_task(members.add(Progress(ADA, "flask", MONDAY), pressed_at=MONDAY))
    await recording.wait()
    forgetting = asyncio.create_task(members.forget(ADA, MONDAY + timedelta(seconds=1)))
    await asyncio.wait({forgetting}, timeout=0.3)  # it would have finished by then, if it didn't wait for the press
    recorded.set()
    await asyncio.gather(pressed, forgetting, return_exceptions=True)
    assert await members.of(ADA) == []


# Summaries


def test_renamed_topics_count_and_removed_topics_do_not(library: Library) -> None:
    kept = [Progress(ADA, "pallets-flask", MONDAY), Progress(ADA, "gone", MONDAY), Progress(ADA, "numpy", MONDAY)]
    record = summarize_progress(kept, library, MONDAY)
    assert [topic.slug for topic in record.finished] == ["numpy", "flask"]


def test_the_next_topic_is_the_first_unfinished_one_of_the_track(library: Library) -> None:
    first, second, *_ = library.tracks["web"].topics
    record = summarize_progress([Progress(ADA, first, MONDAY)], library, MONDAY, library.tracks["web"].topics)
    assert record.next is library.topics[second]
    everything = [Progress(ADA, slug, MONDAY) for slug in library.topics]
    assert summarize_progress(everything, library, MONDAY).next is None


async def test_weeks_follow_the_time_zone_of_the_server(
    members: Members, subscriptions: Subscriptions, library: Library
) -> None:
    """Finish the second topic on Sunday evening, which is Monday in UTC."""
    await subscriptions.reschedule_guild(7, "America/New_York", MONDAY)
    first, second = datetime(2026, 2, 16, 15, tzinfo=UTC), datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    await members.add(Progress(ADA, "django", finished_at=first), guild_id=7)
    kept = await members.add(Progress(ADA, "flask", finished_at=second), guild_id=7)
    assert (str(kept.zone), kept.row.finished_week) == ("America/New_York", date(2026, 2, 23))
    assert summarize_progress(kept.rows, library, second, zone=kept.zone).weeks == 2
    assert summarize_progress(await members.of(ADA), library, second).weeks == 2


async def test_weeks_outside_of_servers_follow_utc(members: Members) -> None:
    sunday_evening = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    for topic, guild_id in (("flask", None), ("django", 8)):
        kept = await members.add(Progress(ADA, topic, finished_at=sunday_evening), guild_id=guild_id)
        assert kept.row.finished_week == date(2026, 2, 23)


def test_rows_without_a_week_use_the_given_time_zone(library: Library) -> None:
    kept = [Progress(ADA, "django", datetime(2026, 2, 16, 15, tzinfo=UTC))]
    kept.append(Progress(ADA, "flask", datetime(2026, 3, 2, 1, 30, tzinfo=UTC)))
    now = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    assert summarize_progress(kept, library, now, zone=ZoneInfo("America/New_York")).weeks == 2
    assert summarize_progress(kept, library, now).weeks == 1


@given(st.sets(st.integers(0, 60)), st.integers(0, 60))
def test_a_streak_ends_in_this_week_or_the_last(weeks: set[int], now: int) -> None:
    start = date(2026, 1, 5)
    days = [start + timedelta(weeks=week, days=week % 7) for week in weeks]
    newest = now if now in weeks else now - 1
    expected = next(count for count in range(62) if newest - count not in weeks)
    assert weeks_in_a_row(days, start + timedelta(weeks=now, days=3)) == expected


# In Discord


def rows(simulation: Simulation, member: Any) -> Any:
    return simulation.app.repositories.members.of(member.id)


async def press(simulation: Simulation, label: str) -> Answer:
    [post] = simulation.posts()
    return await simulation.click(post, label=label)


async def test_finishing_counts_once_despite_repeated_presses(simulation: Simulation) -> None:
    first, again = await press(simulation, "I finished it"), await press(simulation, "I finished it")
    assert first.private
    assert again.private
    assert "## Flask: finished" in first.text
    assert "**1** topic finished · **1** week in a row" in first.text
    assert "You finished it" in again.text
    assert "**1** topic finished" in again.text
    assert [row.topic for row in await rows(simulation, simulation.member)] == ["flask"]


async def test_finishing_can_be_taken_back(simulation: Simulation) -> None:
    finished = await press(simulation, "I finished it")
    assert "no longer counts" in (await simulation.click(finished, label="Take it back")).text
    assert await rows(simulation, simulation.member) == []


async def test_the_quiz_is_private_and_only_the_first_answer_counts(simulation: Simulation, library: Library) -> None:
    content = library.topics["flask"].body.quiz
    wrong = (content.right + 1) % 4
    quiz = await press(simulation, "Quiz me")
    assert quiz.private
    assert content.question in quiz.text
    assert content.why not in quiz.text
    await simulation.click(quiz, label="ABCD"[wrong])
    assert "Not quite" in quiz.text
    assert content.why in quiz.text
    assert "Your first answer counts, and this was it" in quiz.text
    again = await press(simulation, "Quiz me")
    await simulation.click(again, label="ABCD"[content.right])
    assert "✅ Right" in again.text
    assert "for practice" in again.text
    [row] = await rows(simulation, simulation.member)
    assert (row.quiz_right, row.finished_at) == (False, None)


async def test_an_answer_to_an_outdated_quiz_does_not_count(simulation: Simulation) -> None:
    card = member_cards.quiz(ENGLISH, simulation.library.topics["flask"])
    post = simulation.posts()[0]
    assert post.channel.id == simulation.text.id
    old = custom_ids.answer("flask", "0" * 8, 1)
    for row in card.walk_children():
        if getattr(row, "label", None) == "B":
            row.custom_id = old  # type: ignore[attr-defined]
    message = await simulation.bot_channel(simulation.text).send(view=card)
    answer = await simulation.click(message, label="B")
    assert "has changed" in answer.text
    assert await rows(simulation, simulation.member) == []


async def test_progress_shows_finished_topics_and_the_next_one(simulation: Simulation, library: Library) -> None:
    empty = await simulation.slash("progress", by=simulation.member)
    assert empty.private
    assert "Nothing finished yet" in empty.text
    await press(simulation, "I finished it")
    shown = await simulation.slash("progress", by=simulation.member)
    assert f"**1** of {len(library.topics)} topics finished" in shown.text
    assert "Last finished: Flask." in shown.text
    assert shown.labels[0].startswith("Next: ")
    assert (await simulation.click(shown, label=shown.labels[0])).private


async def test_stored_data_is_exported_and_deleted_after_a_confirmation(simulation: Simulation) -> None:
    for command in ("privacy export", "privacy delete"):
        assert "No data is stored about you." in (await simulation.slash(command, by=simulation.member)).text
    await press(simulation, "I finished it")
    export = await simulation.slash("privacy export", by=simulation.member)
    assert export.private
    [attachment] = export.message.attachments
    exported = json.loads(await attachment.read())
    assert exported["member_id"] == str(simulation.member.id)
    assert [row["topic"] for row in exported["topics"]] == ["flask"]

    confirmation = await simulation.slash("privacy delete", by=simulation.member)
    await simulation.click(confirmation, label="Keep it")
    assert len(await rows(simulation, simulation.member)) == 1
    confirmation = await simulation.slash("privacy delete", by=simulation.member)
    await simulation.click(confirmation, label="Delete everything")
    assert "Deleted." in confirmation.text
    assert await rows(simulation, simulation.member) == []


async def test_buttons_of_a_removed_topic_explain_that(simulation: Simulation, library: Library) -> None:
    [post] = simulation.posts()
    others = [topic for topic in library.topics.values() if topic.slug != "flask"]
    simulation.app.live.current = library_of(others)
    for label in ("I finished it", "Quiz me", "More"):
        answer = await simulation.click(post, label=label)
        assert answer.private
        assert "no longer available" in answer.text
    assert await rows(simulation, simulation.member) == []


async def test_buttons_work_after_a_restart(simulation: Simulation) -> None:
    await simulation.restart()
    assert "## Flask: finished" in (await press(simulation, "I finished it")).text
    assert "## Flask: quiz" in (await press(simulation, "Quiz me")).text


async def test_the_database_stores_instants_in_utc(members: Members) -> None:
    instant = datetime(2026, 1, 1, 12, tzinfo=UTC)
    await members.add(Progress(ADA, "flask", finished_at=instant))
    assert (await members.of(ADA))[0].finished_at == instant
