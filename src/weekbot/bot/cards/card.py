"""The building blocks of cards: a card is a message of Discord components.

All cards read the same way: a heading with a summary, facts in small print, a separator, the sections with separators
between them, then buttons. Cards are sent as they are and never listened to: `buttons` answers presses from their
custom ids alone.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import discord
from discord import ButtonStyle, ui

from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.formatting import quoted
from weekbot.content.model import Category, Status, Topic, translated
from weekbot.content.problems import Problem
from weekbot.i18n.language import N_, Language
from weekbot.runtime.printable import printable

_CATEGORIES = {
    Category.BASICS: (N_("Basics"), 0x5865F2),
    Category.WEB: (N_("Web"), 0x2E9E6B),
    Category.MACHINE_LEARNING: (N_("Machine learning"), 0xE67E22),
    Category.CRAWLING: (N_("Crawling"), 0x9B59B6),
    Category.DATA_SCIENCE: (N_("Data science"), 0x2980B9),
    Category.TESTING: (N_("Testing"), 0xC0392B),
    Category.SERVICES: (N_("Services and tools"), 0x16A085),
    Category.APPS: (N_("Apps and games"), 0xD4A017),
}
CATEGORIES = {category: name for category, (name, _) in _CATEGORIES.items()}
COLOURS = {category: colour for category, (_, colour) in _CATEGORIES.items()}
STATUSES = {Status.ACTIVE: N_("active"), Status.MAINTENANCE: N_("in maintenance"), Status.ARCHIVED: N_("archived")}
MAX_PROBLEM_CHARACTERS = 3000
PROBLEM_COLOUR = 0xED4245

Row = ui.ActionRow[Any]
Part = ui.TextDisplay[Any] | ui.Separator[Any] | ui.Section[Any] | Row


class Card(ui.LayoutView):
    """A message of one container. It's stopped from the start, so that discord.py doesn't keep track of it."""

    def __init__(self, colour: int, *parts: Part) -> None:
        super().__init__(timeout=None)
        self.add_item(ui.Container(*parts, accent_colour=colour))
        self.stop()


def note(text: str, *rows: Row) -> Card:
    """A short text, with buttons for what members can do next."""
    return Card(COLOURS[Category.BASICS], ui.TextDisplay(text), *rows)


def problems(found: Sequence[Problem]) -> Card:
    """Problems of the content, in place of what they keep from being shown."""
    lines = [
        f"- {quoted(f'{problem.path.name}:{problem.position.line}:{problem.position.column}')} "
        + discord.utils.escape_markdown(printable(problem.message))
        for problem in found
    ]
    lengths = accumulate(map(len, lines))
    shown = [line for line, length in zip(lines, lengths, strict=True) if length < MAX_PROBLEM_CHARACTERS]
    more = len(lines) - len(shown)
    head = f"## {len(found)} problem{'s' * (len(found) > 1)}"
    return Card(PROBLEM_COLOUR, *texts(head, "\n".join(shown), f"-# and {more} more" if more else None))


def button(
    label: str, custom_id: str, style: ButtonStyle = ButtonStyle.secondary, *, disabled: bool = False
) -> ui.Button[Any]:
    return ui.Button(label=label, custom_id=custom_id, style=style, disabled=disabled)


def topic_button(tr: Language, topic: Topic, label: str | None = None) -> ui.Button[Any]:
    return button(label or translated(topic, tr.locale).title, custom_ids.topic(topic.slug))


def texts(*contents: str | None) -> list[Part]:
    return [ui.TextDisplay(content) for content in contents if content]


def separated(*contents: str | None) -> list[Part]:
    first, *others = texts(*contents)
    return [first, *(part for text in others for part in (ui.Separator(), text))]


def page_range(tr: Language, first: int, last: int, total: int) -> str:
    """Small print on which of all items a page shows; `first` and `last` count from 1."""
    return f"-# {tr('{first} to {last} of {total}', first=first, last=last, total=total)}"
