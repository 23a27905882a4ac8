"""Cards that only one member sees: finished topics, quizzes, progress, and stored data."""

import hashlib
from typing import Any

from discord import ButtonStyle, ui

from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.card import COLOURS, Card, Row, button, note, topic_button
from weekbot.bot.cards.formatting import first_items, moment
from weekbot.bot.cards.topic_cards import LETTERS
from weekbot.content.model import Quiz, Topic, translated
from weekbot.domain.progress import Progress, ProgressSummary
from weekbot.i18n.language import Language

MAX_LISTED = 10
RIGHT_COLOUR, WRONG_COLOUR = 0x2E9E6B, 0xC0392B


def finished(tr: Language, topic: Topic, row: Progress, record: ProgressSummary, *, new: bool) -> Card:
    """The answer to *I finished it*."""
    title, when = translated(topic, tr.locale).title, moment(row.finished_at, "R") if row.finished_at else ""
    before = tr("You finished it {when}.", when=when)
    head = f"## {tr('{title}: finished 🎉', title=title)}" if new else f"## {title}\n{before}"
    quiz_me = [button(tr("Quiz me"), custom_ids.quiz(topic.slug))] if row.quiz_at is None else []
    take_back = button(tr("Take it back"), custom_ids.take_back(topic.slug))
    text = f"{head}\n{_summary(tr, record)}"
    return Card(COLOURS[topic.category], ui.TextDisplay(text), Row(*quiz_me, *_next(tr, record), take_back))


def taken_back(tr: Language, topic: Topic) -> Card:
    title = translated(topic, tr.locale).title
    return note(tr("**{title}** no longer counts as finished.", title=title))


def quiz(tr: Language, topic: Topic) -> Card:
    """The quiz, whose answers carry the digest of the English original in every language."""
    localized = translated(topic, tr.locale)
    answers = zip(LETTERS, localized.body.quiz.answers, strict=True)
    listed = "\n".join(f"**{letter}.** {answer}" for letter, answer in answers)
    digest = quiz_digest(topic.body.quiz)
    buttons = [button(letter, custom_ids.answer(topic.slug, digest, index)) for index, letter in enumerate(LETTERS)]
    counts = tr("Your first answer counts.")
    text = f"## {tr('{title}: quiz', title=localized.title)}\n{localized.body.quiz.question}\n\n{listed}\n-# {counts}"
    return Card(COLOURS[topic.category], ui.TextDisplay(text), Row(*buttons))


def quiz_result(tr: Language, topic: Topic, chosen: int, *, new: bool) -> Card:
    """The result of an answer; `new` means that it's the member's first answer to this quiz."""
    localized = translated(topic, tr.locale)
    asked, right = localized.body.quiz, chosen == localized.body.quiz.right
    lines = [f"## {tr('✅ Right') if right else tr('❌ Not quite')}", asked.question, ""]
    if not right:
        lines.append(tr("Your answer: {answer}", answer=_answer(asked, chosen)))
    lines += [tr("Correct answer: {answer}", answer=_answer(asked, asked.right)), "", asked.why]
    counted = tr("Your first answer counts, and this was it.")
    practice = tr("Your first answer counted; this one was for practice.")
    lines.append(f"-# {counted if new else practice}")
    read = topic_button(tr, topic, tr("Read about {title}", title=localized.title))
    return Card(RIGHT_COLOUR if right else WRONG_COLOUR, ui.TextDisplay("\n".join(lines)), Row(read))


def _answer(asked: Quiz, index: int) -> str:
    return f"**{LETTERS[index]}.** {asked.answers[index]}"


def quiz_digest(asked: Quiz) -> str:
    """Identify a quiz, so that an answer to an earlier version isn't taken for an answer to this one."""
    return hashlib.sha256("\n".join([asked.question, *asked.answers]).encode()).hexdigest()[:8]


def progress(tr: Language, record: ProgressSummary, total: int) -> Card:
    lines = [f"## {tr('Your progress')}", _summary(tr, record, total)]
    if record.finished:
        titles = [translated(topic, tr.locale).title for topic in record.finished]
        lines.append(tr("Last finished: {topics}.", topics=first_items(tr, titles, MAX_LISTED)))
    else:
        lines.append(tr("Nothing finished yet. When you finish a topic, press **I finished it** on its post."))
    if record.next is None:
        lines.append(tr("You finished them all."))
    buttons = _next(tr, record)
    return note("\n".join(lines), *([Row(*buttons)] if buttons else []))


def forget(tr: Language, count: int) -> Card:
    """Ask for confirmation before everything about the member is deleted."""
    kept = tr.plural(
        "Your Discord ID, the topics you finished and your quiz results: {count} topic. Nothing else.",
        "Your Discord ID, the topics you finished and your quiz results: {count} topics. Nothing else.",
        count,
    )
    ask = tr("Delete everything? This can't be undone.")
    buttons = [
        button(tr("Delete everything"), custom_ids.forget("yes"), ButtonStyle.danger),
        button(tr("Keep it"), custom_ids.forget("no")),
    ]
    return note(f"## {tr('Data stored about you')}\n{kept} {ask}", Row(*buttons))


def _next(tr: Language, record: ProgressSummary) -> list[ui.Button[Any]]:
    if record.next is None:
        return []
    title = translated(record.next, tr.locale).title
    return [topic_button(tr, record.next, tr("Next: {title}", title=title))]


def _summary(tr: Language, record: ProgressSummary, total: int | None = None) -> str:
    count = len(record.finished)
    if total:
        finished = tr("**{count}** of {total} topics finished", count=count, total=total)
    else:
        finished = tr.plural("**{count}** topic finished", "**{count}** topics finished", count)
    parts = [finished, tr.plural("**{count}** week in a row", "**{count}** weeks in a row", record.weeks)]
    if record.quizzes:
        parts.append(
            tr.plural(
                "**{right}** of {count} quiz right",
                "**{right}** of {count} quizzes right",
                record.quizzes,
                right=record.right,
            )
        )
    return " · ".join(parts)
