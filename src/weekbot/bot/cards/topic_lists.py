"""Lists of topics: a track's pages, and suggestions for an unknown name."""

from collections.abc import Sequence
from typing import Any

import discord
from discord import ui

from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.card import COLOURS, Card, Row, button, note, page_range, texts, topic_button
from weekbot.bot.cards.formatting import numbered, quoted
from weekbot.content.library import Library
from weekbot.content.model import Category, Topic, translated
from weekbot.content.tracks import Track
from weekbot.i18n.language import Language

PAGE_SIZE = 10


def near_misses(tr: Language, asked: str, topics: Sequence[Topic]) -> Card:
    """The answer to an unknown name; `topics` have similar names."""
    if not topics:
        return note(tr("There is no topic called {name}. `/topic list` shows them all.", name=quoted(asked)))
    text = tr("There is no topic called {name}. Did you mean:", name=quoted(asked))
    return note(text, Row(*(topic_button(tr, topic) for topic in topics)))


def topic_list(tr: Language, library: Library, track: Track, page: int) -> Card:
    """A page of the track's topics. Pages count from 0; after the last page, the last one is shown."""
    pages = range(0, len(track.topics), PAGE_SIZE)
    page = min(page, len(pages) - 1)
    first = pages[page]
    slugs = track.topics[first : first + PAGE_SIZE]
    topics = [translated(library.topics[slug], tr.locale) for slug in slugs]
    lines = numbered([f"**{topic.title}**: {topic.summary}" for topic in topics], first + 1)
    place = page_range(tr, first + 1, first + len(slugs), len(track.topics))
    parts = texts(f"## {track.title}\n{track.summary}\n{place}")
    parts += [ui.Separator(), *texts(lines), Row(_topic_select(tr, topics))]
    if len(pages) > 1:
        back = button(tr("Previous"), custom_ids.track(track.slug, max(page - 1, 0)), disabled=page == 0)
        on = button(tr("Next"), custom_ids.track(track.slug, page + 1), disabled=page + 1 == len(pages))
        parts.append(Row(back, on))
    return Card(COLOURS[Category.BASICS], *parts)


def _topic_select(tr: Language, topics: Sequence[Topic]) -> ui.Select[Any]:
    options = [discord.SelectOption(label=topic.title, value=topic.slug) for topic in topics]
    return ui.Select(custom_id=custom_ids.OPEN, placeholder=tr("Open a topic"), options=options)
