"""Cards: topics as Discord components. Pure; `tests/test_cards.py` holds every form inside Discord's limits.

A card is sent as it is and never listened to: presses are answered by `bot/buttons.py` from the custom id alone.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import discord
from discord import ui

from weekbot.bot import custom_ids
from weekbot.bot.links import message_link, moment
from weekbot.content.library import Library
from weekbot.content.model import DEFAULT_RUN, Category, Framework, FrameworkBody, Status, Topic, Track
from weekbot.content.problem import Problem
from weekbot.store.delivery import Delivery

COLOURS = {
    Category.BASICS: 0x5865F2,
    Category.WEB: 0x2E9E6B,
    Category.MACHINE_LEARNING: 0xE67E22,
    Category.CRAWLING: 0x9B59B6,
    Category.DATA_SCIENCE: 0x2980B9,
    Category.TESTING: 0xC0392B,
    Category.SERVICES: 0x16A085,
    Category.APPS: 0xD4A017,
}
CATEGORIES = {
    Category.BASICS: "Basics",
    Category.WEB: "Web",
    Category.MACHINE_LEARNING: "Machine learning",
    Category.CRAWLING: "Crawling",
    Category.DATA_SCIENCE: "Data science",
    Category.TESTING: "Testing",
    Category.SERVICES: "Services and tools",
    Category.APPS: "Apps and games",
}
PREVIEW_ID = "preview"
"""Stands for the delivery in a post that is only a preview."""
TOPICS_A_PAGE = 15
RELATED_A_ROW = 3
MOST_QUOTED = 60
MOST_OF_PROBLEMS = 3000  # characters
PROBLEM_COLOUR = 0xED4245

Row = ui.ActionRow[Any]
Part = ui.TextDisplay[Any] | ui.Separator[Any] | ui.Section[Any] | Row


class Card(ui.LayoutView):
    """A message of one container. It is finished from the start, so that discord.py keeps no trace of it."""

    def __init__(self, colour: int, *parts: Part, above: str | None = None) -> None:
        super().__init__(timeout=None)
        if above:
            self.add_item(ui.TextDisplay(above))
        self.add_item(ui.Container(*parts, accent_colour=colour))
        self.stop()


def post(topic: Topic, delivery_id: str, ping_role_id: int | None = None) -> Card:
    """The weekly post."""
    week = f"### The week\n{numbered(topic.body.week)}"
    discuss = f"### Discuss\n{topic.body.discuss}"
    finished = ui.Button[Any](
        label="I finished it", custom_id=custom_ids.finished(topic.slug), style=discord.ButtonStyle.success
    )
    quiz = ui.Button[Any](label="Quiz me", custom_id=custom_ids.quiz(topic.slug))
    more = ui.Button[Any](label="More", custom_id=custom_ids.more(delivery_id, topic.slug))
    links = _links(topic)
    return _card(
        topic,
        f"## This week: {topic.title}\n{topic.summary}",
        *_parted(_lead(topic), _first_steps(topic), week, discuss),
        Row(finished, quiz, more),
        *([Row(*links)] if links else []),
        above=f"<@&{ping_role_id}>" if ping_role_id else None,
    )


def lookup(
    topic: Topic, related: Sequence[Topic] = (), had: Delivery | None = None, improvement: str | None = None
) -> Card:
    """The answer to a lookup: what somebody deciding about it wants to know.

    `had` is this channel's post of it, `improvement` the address of its file.
    """
    body = topic.body
    if isinstance(body, FrameworkBody):
        texts = [_section("When to choose it", body.when_to_choose), _section("When not to", body.when_not)]
    else:
        texts = [_section("Why it matters", body.why_it_matters)]
    links = _links(topic)
    if had:
        links.append(ui.Button(label="Posted here", url=message_link(had)))
    if improvement:
        links.append(ui.Button(label="Improve this topic", url=improvement))
    rows = [Row(*links)] if links else []
    return _card(
        topic,
        f"## {topic.title}\n{topic.summary}{_had(had)}",
        *_parted(_lead(topic), *texts, _first_steps(topic)),
        *rows,
        Row(_section_select(topic)),
        *_related(related),
    )


def section(topic: Topic, name: str) -> Card:
    """One section of the topic; `name` is one of `section_names`."""
    return _card(topic, f"## {topic.title}: {section_names(topic)[name]}", *_texts(_SECTIONS[name](topic)))


def section_names(topic: Topic) -> dict[str, str]:
    """The topic's sections by their names in the model, with their headings."""
    return {name: str(field.title) for name, field in type(topic.body).model_fields.items()}


def comparison(first: Topic, second: Topic) -> Card:
    """Two topics side by side: facts, when to choose which, how to install either."""
    both = (first, second)
    summaries = "\n".join(f"**{topic.title}**: {topic.summary}" for topic in both)
    frameworks = [topic for topic in both if isinstance(topic, Framework)]
    installs = "\n".join(topic.body.first_steps.install for topic in frameworks)
    return Card(
        COLOURS[first.category],
        ui.TextDisplay(f"## {first.title} or {second.title}\n{summaries}"),
        ui.Separator(),
        *_parted(
            _facts_of_both(*frameworks) if len(frameworks) > 1 else None,
            *(_why(topic) for topic in both),
            f"### Install\n```sh\n{installs}\n```" if installs else None,
        ),
        Row(*(topic_button(topic) for topic in both)),
    )


def _why(topic: Topic) -> str:
    if isinstance(topic, Framework):
        return _section(f"When to choose {topic.title}", topic.body.when_to_choose)
    return _section(f"{topic.title}: why it matters", topic.body.why_it_matters)


def _facts_of_both(first: Framework, second: Framework) -> str:
    """A line a fact; one that is the same is said once."""
    lines = []
    for label, fact in _COMPARED.items():
        one, other = fact(first), fact(second)
        said = f"{one} (both)" if one == other else f"{first.title} {one}, {second.title} {other}"
        lines.append(f"- {label}: {said}")
    return "\n".join(["### Facts", *lines])


def near_misses(asked: str, topics: Sequence[Topic]) -> Card:
    """For a name that is nobody's; `topics` are the nearest, if any."""
    if not topics:
        text = f"There is no topic called {quoted(asked)}. `/topic list` shows them all."
        return note(text)
    text = f"There is no topic called {quoted(asked)}. Did you mean:"
    return note(text, Row(*(topic_button(topic) for topic in topics)))


def topic_list(library: Library, track: Track, page: int) -> Card:
    """A page of the track's topics; pages count from 0, and one too far is the last."""
    pages = range(0, len(track.topics), TOPICS_A_PAGE)
    page = min(page, len(pages) - 1)
    first = pages[page]
    topics = [library.topics[slug] for slug in track.topics[first : first + TOPICS_A_PAGE]]
    lines = [f"{number}. **{topic.title}**: {topic.summary}" for number, topic in enumerate(topics, first + 1)]
    parts: list[Part] = [*_texts(f"## {track.title}\n{track.summary}", "\n".join(lines))]
    if len(pages) > 1:
        parts.append(
            Row(
                _page_button("Back", track, page - 1, enabled=page > 0),
                _page_button("On", track, page + 1, enabled=page + 1 < len(pages)),
            )
        )
    return Card(COLOURS[Category.BASICS], *parts)


def note(text: str, *rows: Row) -> Card:
    """A few words, with what can be done."""
    return Card(COLOURS[Category.BASICS], ui.TextDisplay(text), *rows)


def problems(found: Sequence[Problem]) -> Card:
    """What is wrong with the content, in place of what cannot be shown because of it."""
    lines = [
        f"- {quoted(f'{problem.path.name}:{problem.position.line}:{problem.position.column}')} "
        + discord.utils.escape_markdown(problem.message)
        for problem in found
    ]
    shown = [line for line, total in zip(lines, accumulate(map(len, lines)), strict=True) if total < MOST_OF_PROBLEMS]
    more = len(lines) - len(shown)
    head = f"## {len(found)} problem{'s' * (len(found) > 1)}"
    return Card(PROBLEM_COLOUR, *_texts(head, "\n".join(shown), f"-# and {more} more" if more else None))


def quoted(text: str) -> str:
    """What a member typed, short and as code: nothing in it is a mention, a link or Markdown."""
    plain = " ".join(text.replace("`", "'").split()) or " "
    return f"`{plain if len(plain) <= MOST_QUOTED else plain[: MOST_QUOTED - 1] + '…'}`"


def numbered(lines: Sequence[str]) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def _card(topic: Topic, head: str, *parts: Part, above: str | None = None) -> Card:
    facts = ui.TextDisplay[Any](f"-# {_facts(topic)}")
    return Card(COLOURS[topic.category], ui.TextDisplay(head), *parts, facts, above=above)


def _texts(*texts: str | None) -> list[Part]:
    return [ui.TextDisplay(text) for text in texts if text]


def _parted(*texts: str | None) -> list[Part]:
    """The texts, with a line above each but the first."""
    first, *others = _texts(*texts)
    return [first, *(part for text in others for part in (ui.Separator(), text))]


def _section(heading: str, text: str) -> str:
    return f"### {heading}\n{text}"


def _lead(topic: Topic) -> str:
    if isinstance(topic, Framework) and topic.status_note:
        return f"**{topic.status.capitalize()}.** {topic.status_note}\n\n{topic.body.what_it_is}"
    return topic.body.what_it_is


def _first_steps(topic: Topic) -> str | None:
    if not isinstance(topic, Framework):
        return None
    steps = topic.body.first_steps
    text = f"### First steps\n```sh\n{steps.install}\n```\n```{steps.language}\n{steps.example}\n```"
    if steps.output is None:
        return text
    printing = "It prints:" if topic.run == DEFAULT_RUN else f"`{topic.run}` prints:"
    return f"{text}\n{printing}\n```text\n{steps.output}\n```"


def _quiz(topic: Topic) -> str:
    quiz = topic.body.quiz
    answers = "\n".join(f"{letter}. {answer}" for letter, answer in zip("ABCD", quiz.answers, strict=True))
    return f"{quiz.question}\n\n{answers}\n\n||**{'ABCD'[quiz.right]}.** {quiz.why}||"


def _facts(topic: Topic) -> str:
    facts = [CATEGORIES[topic.category]]
    if isinstance(topic, Framework):
        status = [] if topic.status is Status.ACTIVE else [topic.status.value]
        facts += [f"since {topic.first_release}", topic.licence, f"Python {topic.python}", *status]
    return " · ".join(facts)


def _links(topic: Topic) -> list[ui.Button[Any]]:
    if not isinstance(topic, Framework):
        return []
    links = {"Docs": topic.docs, "Source": topic.source}
    if topic.homepage not in links.values():
        links["Website"] = topic.homepage
    return [ui.Button(label=label, url=url) for label, url in links.items()]


def _section_select(topic: Topic) -> ui.Select[Any]:
    options = [discord.SelectOption(label=heading, value=name) for name, heading in section_names(topic).items()]
    return ui.Select(custom_id=custom_ids.sections(topic.slug), placeholder="Read a section", options=options)


def _had(delivery: Delivery | None) -> str:
    if delivery is None:
        return ""
    return f"\n-# This channel had it {moment(delivery.sent_at or delivery.slot, 'R')}."


def _related(topics: Sequence[Topic]) -> list[Row]:
    buttons = [topic_button(topic) for topic in topics]
    return [Row(*buttons[first : first + RELATED_A_ROW]) for first in range(0, len(buttons), RELATED_A_ROW)]


def topic_button(topic: Topic, label: str | None = None) -> ui.Button[Any]:
    """Leads to the topic's card."""
    return ui.Button(label=label or topic.title, custom_id=custom_ids.topic(topic.slug))


def _page_button(label: str, track: Track, page: int, *, enabled: bool) -> ui.Button[Any]:
    return ui.Button(label=label, custom_id=custom_ids.track(track.slug, max(page, 0)), disabled=not enabled)


_COMPARED: dict[str, Callable[[Framework], object]] = {
    "Category": lambda topic: CATEGORIES[topic.category],
    "First release": lambda topic: topic.first_release,
    "Newest seen": lambda topic: topic.version,
    "Licence": lambda topic: topic.licence,
    "Python": lambda topic: topic.python,
    "Status": lambda topic: topic.status.value,
}
_SECTIONS = {
    "what_it_is": _lead,
    "why_it_matters": lambda topic: topic.body.why_it_matters,
    "when_to_choose": lambda topic: topic.body.when_to_choose,
    "when_not": lambda topic: topic.body.when_not,
    "first_steps": _first_steps,
    "week": lambda topic: numbered(topic.body.week),
    "discuss": lambda topic: topic.body.discuss,
    "quiz": _quiz,
}
