"""Cards for one member alone: what was finished, the quiz, the progress, and what is kept."""

import hashlib
from typing import Any

import discord
from discord import ButtonStyle, ui

from weekbot.bot import custom_ids
from weekbot.bot.cards import COLOURS, Card, Row, topic_button
from weekbot.bot.links import moment
from weekbot.content.model import Category, Quiz, Topic
from weekbot.progress import Record
from weekbot.store.members import Progress

LETTERS = "ABCD"
MOST_LISTED = 10

FINISHED = "## {title}: finished 🎉"
FINISHED_BEFORE = "## {title}\nYou finished it {when}."
TAKEN_BACK = "**{title}** no longer counts as finished."
NOTHING_FINISHED = "Nothing finished yet. Press **I finished it** on a weekly post when you have."
ALL_FINISHED = "You finished them all."
RIGHT, WRONG = "## ✅ Right", "## ❌ Not quite"
COUNTED = "-# Your first answer counts, and this was it."
COUNTED_BEFORE = "-# Your first answer counted; this one was for practice."
KEPT = (
    "## What is kept about you\nYour Discord id, the topics you finished and how their quizzes went: {count} topics. "
    "Nothing else. Delete it all? That cannot be undone."
)
NOTHING_KEPT = "Nothing is kept about you."
FORGOTTEN = "Deleted. Nothing is kept about you any more."
STAYS = "Nothing was deleted."


def finished(topic: Topic, row: Progress, record: Record, *, new: bool) -> Card:
    """The answer to *I finished it*."""
    when = moment(row.finished_at, "R") if row.finished_at else ""
    head = (FINISHED if new else FINISHED_BEFORE).format(title=topic.title, when=when)
    buttons = [_button("Take it back", custom_ids.take_back(topic.slug))]
    if row.quiz_at is None:
        buttons.insert(0, _button("Quiz me", custom_ids.quiz(topic.slug)))
    if record.next:
        buttons.append(topic_button(record.next, f"Next: {record.next.title}"))
    return Card(COLOURS[topic.category], ui.TextDisplay(f"{head}\n{_summary(record)}"), Row(*buttons))


def quiz(topic: Topic) -> Card:
    asked = topic.body.quiz
    answers = "\n".join(f"**{letter}.** {answer}" for letter, answer in zip(LETTERS, asked.answers, strict=True))
    digest = quiz_digest(asked)
    buttons = [_button(letter, custom_ids.answer(topic.slug, digest, index)) for index, letter in enumerate(LETTERS)]
    text = f"## {topic.title}: quiz\n{asked.question}\n\n{answers}"
    return Card(COLOURS[topic.category], ui.TextDisplay(text), Row(*buttons))


def quiz_result(topic: Topic, chosen: int, *, new: bool) -> Card:
    """What became of an answer; `new` where it is the member's first to this quiz."""
    asked = topic.body.quiz
    lines = [RIGHT if chosen == asked.right else WRONG, asked.question, ""]
    if chosen != asked.right:
        lines.append(f"You said **{LETTERS[chosen]}.** {asked.answers[chosen]}")
    lines += [f"The answer is **{LETTERS[asked.right]}.** {asked.answers[asked.right]}", "", asked.why]
    lines.append(COUNTED if new else COUNTED_BEFORE)
    return Card(COLOURS[topic.category], ui.TextDisplay("\n".join(lines)), Row(topic_button(topic)))


def quiz_digest(asked: Quiz) -> str:
    """Another one for another quiz, so that an answer to one is never taken for an answer to another."""
    return hashlib.sha256("\n".join([asked.question, *asked.answers]).encode()).hexdigest()[:8]


def progress(record: Record, total: int) -> Card:
    lines = ["## Your progress", _summary(record, total)]
    if record.finished:
        shown = ", ".join(topic.title for topic in record.finished[:MOST_LISTED])
        more = len(record.finished) - MOST_LISTED
        lines.append(f"Last finished: {shown}{f' and {more} more' if more > 0 else ''}.")
    else:
        lines.append(NOTHING_FINISHED)
    rows = [Row(topic_button(record.next, f"Next: {record.next.title}"))] if record.next else []
    if record.next is None:
        lines.append(ALL_FINISHED)
    return Card(COLOURS[Category.BASICS], ui.TextDisplay("\n".join(lines)), *rows)


def forget(count: int) -> Card:
    """Asks whether it is meant."""
    buttons = [
        _button("Delete it all", custom_ids.forget("yes"), ButtonStyle.danger),
        _button("Keep it", custom_ids.forget("no")),
    ]
    return Card(COLOURS[Category.BASICS], ui.TextDisplay(KEPT.format(count=count)), Row(*buttons))


def _summary(record: Record, total: int | None = None) -> str:
    count = len(record.finished)
    topics = f"**{count}{f' of {total}' if total else ''}** {_plural('topic', total or count)}"
    parts = [f"{topics} finished", f"**{record.weeks}** {_plural('week', record.weeks)} in a row"]
    if record.quizzes:
        parts.append(f"**{record.right}** of {record.quizzes} quizzes right")
    return " · ".join(parts)


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _button(label: str, custom_id: str, style: ButtonStyle = discord.ButtonStyle.secondary) -> ui.Button[Any]:
    return ui.Button(label=label, custom_id=custom_id, style=style)
