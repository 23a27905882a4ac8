"""Cards: topics as Discord components. Pure; `tests/test_cards.py` holds every form inside Discord's limits.

Every card reads the same way: a heading with a summary, facts in small print, a line, the parts with a line between
them, and what can be pressed. It is sent as it is and never listened to: presses are answered by `bot/buttons.py` from
the custom id alone.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import discord
from discord import ui

from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.links import message_link, moment
from weekbot.bot.cards.text import numbered, quoted
from weekbot.content.library import Library
from weekbot.content.model import DEFAULT_RUN, Category, Framework, FrameworkBody, Status, Topic, translated
from weekbot.content.problems import Problem
from weekbot.content.tracks import Track
from weekbot.domain.deliveries import Delivery
from weekbot.i18n.language import N_, Language
from weekbot.runtime.printable import printable

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
    Category.BASICS: N_("Basics"),
    Category.WEB: N_("Web"),
    Category.MACHINE_LEARNING: N_("Machine learning"),
    Category.CRAWLING: N_("Crawling"),
    Category.DATA_SCIENCE: N_("Data science"),
    Category.TESTING: N_("Testing"),
    Category.SERVICES: N_("Services and tools"),
    Category.APPS: N_("Apps and games"),
}
STATUSES = {
    Status.ACTIVE: N_("active"),
    Status.MAINTENANCE: N_("in maintenance"),
    Status.ARCHIVED: N_("archived"),
}
LETTERS = "ABCD"
"""Of a quiz's answers."""
PREVIEW_ID = "preview"
"""Stands for the delivery in a post that is only a preview."""
TOPICS_A_PAGE = 10
RELATED_A_ROW = 3
MOST_OF_PROBLEMS = 3000  # characters
PROBLEM_COLOUR = 0xED4245

Row = ui.ActionRow[Any]
Part = ui.TextDisplay[Any] | ui.Separator[Any] | ui.Section[Any] | Row


class Card(ui.LayoutView):
    """A message of one container. It is finished from the start, so that discord.py keeps no trace of it."""

    def __init__(self, colour: int, *parts: Part, below: str | None = None) -> None:
        super().__init__(timeout=None)
        self.add_item(ui.Container(*parts, accent_colour=colour))
        if below:
            self.add_item(ui.TextDisplay(below))
        self.stop()


def post(tr: Language, topic: Topic, delivery_id: str, ping_role_id: int | None = None) -> Card:
    """The weekly post: what it is in a paragraph, and what to do in the week; *More* has the rest.

    The role comes last, so that a notification begins with the topic.
    """
    topic = translated(topic, tr.locale)
    return Card(
        COLOURS[topic.category],
        ui.TextDisplay(_head(tr, topic, _post_title(tr, topic))),
        ui.Separator(),
        *_parted(_introduction(tr, topic), *(_section(*each) for each in _tasks(tr, topic))),
        post_buttons(tr, topic, delivery_id),
        *_link_rows(_links(tr, topic)),
        below=f"<@&{ping_role_id}>" if ping_role_id else None,
    )


def post_embed(tr: Language, topic: Topic) -> discord.Embed:
    """The text of the weekly post as an embed; links are text, as a channel that follows is shown no buttons."""
    topic = translated(topic, tr.locale)
    links = " · ".join(f"[{label}]({url})" for label, url in _links(tr, topic).items())
    embed = discord.Embed(
        title=_post_title(tr, topic),
        url=topic.homepage if isinstance(topic, Framework) else None,
        description="\n\n".join(filter(None, [f"**{topic.summary}**", _introduction(tr, topic), links])),
        colour=COLOURS[topic.category],
    )
    for heading, text in _tasks(tr, topic):
        embed.add_field(name=heading, value=text, inline=False)
    return embed.set_footer(text=_facts(tr, topic))


def post_buttons(tr: Language, topic: Topic, delivery_id: str) -> Row:
    """What members press under a weekly post."""
    finished = ui.Button[Any](
        label=tr("I finished it"), custom_id=custom_ids.finished(topic.slug), style=discord.ButtonStyle.success
    )
    quiz = ui.Button[Any](label=tr("Quiz me"), custom_id=custom_ids.quiz(topic.slug))
    more = ui.Button[Any](label=tr("More"), custom_id=custom_ids.more(delivery_id, topic.slug))
    return Row(finished, quiz, more)


def lookup(
    tr: Language,
    topic: Topic,
    related: Sequence[Topic] = (),
    had: Delivery | None = None,
    improvement: str | None = None,
) -> Card:
    """The answer to a lookup: what somebody deciding about it wants to know; the sections have the rest.

    `had` is this channel's post of it, `improvement` the address of its file.
    """
    topic = translated(topic, tr.locale)
    links = _links(tr, topic)
    if had and (link := message_link(had)):
        links[tr("Posted here")] = link
    if improvement:
        links[tr("Improve this topic")] = improvement
    return Card(
        COLOURS[topic.category],
        ui.TextDisplay(_head(tr, topic, topic.title, _had(tr, had))),
        ui.Separator(),
        *_parted(_first_paragraph(tr, topic), *_reasons(tr, topic), _install(topic)),
        *_link_rows(links),
        Row(_section_select(tr, topic)),
        *_related(tr, related),
    )


def section(tr: Language, topic: Topic, name: str) -> Card:
    """One section of the topic; `name` is one of `section_names`."""
    topic = translated(topic, tr.locale)
    heading = f"## {topic.title}: {section_names(tr, topic)[name]}"
    return Card(COLOURS[topic.category], *_texts(heading, _SECTIONS[name](tr, topic)), Row(_section_select(tr, topic)))


def section_names(tr: Language, topic: Topic) -> dict[str, str]:
    """The topic's sections by their names in the model, with their headings."""
    return {name: tr(str(field.title)) for name, field in type(topic.body).model_fields.items()}


def comparison(tr: Language, first: Topic, second: Topic) -> Card:
    """Two topics side by side: facts, when to choose which, how to install either."""
    both = [translated(topic, tr.locale) for topic in (first, second)]
    summaries = "\n".join(f"**{topic.title}**: {topic.summary}" for topic in both)
    frameworks = [topic for topic in both if isinstance(topic, Framework)]
    installs = "\n".join(topic.body.first_steps.install for topic in frameworks)
    head = tr("{first} or {second}", first=both[0].title, second=both[1].title)
    return Card(
        COLOURS[first.category],
        ui.TextDisplay(f"## {head}\n{summaries}"),
        ui.Separator(),
        *_parted(
            _facts_of_both(tr, *frameworks) if len(frameworks) > 1 else None,
            *(_why(tr, topic) for topic in both),
            _section(tr("Install"), f"```sh\n{installs}\n```") if installs else None,
        ),
        Row(*(topic_button(tr, topic) for topic in both)),
    )


def _why(tr: Language, topic: Topic) -> str:
    if isinstance(topic, Framework):
        return _section(tr("When to choose {title}", title=topic.title), topic.body.when_to_choose)
    return _section(tr("{title}: why it matters", title=topic.title), topic.body.why_it_matters)


def _facts_of_both(tr: Language, first: Framework, second: Framework) -> str:
    """A line a fact; one that is the same is said once."""
    lines = []
    for label, fact in _COMPARED.items():
        one, other = fact(tr, first), fact(tr, second)
        both = tr("{fact} (both)", fact=one)
        lines.append(f"- {tr(label)}: {both if one == other else f'{first.title} {one}, {second.title} {other}'}")
    return _section(tr("Facts"), "\n".join(lines))


def near_misses(tr: Language, asked: str, topics: Sequence[Topic]) -> Card:
    """For a name that is nobody's; `topics` are the nearest, if any."""
    if not topics:
        return note(tr("There is no topic called {name}. `/topic list` shows them all.", name=quoted(asked)))
    text = tr("There is no topic called {name}. Did you mean:", name=quoted(asked))
    return note(text, Row(*(topic_button(tr, topic) for topic in topics)))


def topic_list(tr: Language, library: Library, track: Track, page: int) -> Card:
    """A page of the track's topics; pages count from 0, and one too far is the last."""
    pages = range(0, len(track.topics), TOPICS_A_PAGE)
    page = min(page, len(pages) - 1)
    first = pages[page]
    slugs = track.topics[first : first + TOPICS_A_PAGE]
    topics = [translated(library.topics[slug], tr.locale) for slug in slugs]
    lines = numbered([f"**{topic.title}**: {topic.summary}" for topic in topics], first + 1)
    place = tr("{first} to {last} of {total}", first=first + 1, last=first + len(slugs), total=len(track.topics))
    parts = _texts(f"## {track.title}\n{track.summary}\n-# {place}")
    parts += [ui.Separator(), *_texts(lines), Row(_topic_select(tr, topics))]
    if len(pages) > 1:
        back = _page_button(tr("Previous"), track, page - 1, enabled=page > 0)
        on = _page_button(tr("Next"), track, page + 1, enabled=page + 1 < len(pages))
        parts.append(Row(back, on))
    return Card(COLOURS[Category.BASICS], *parts)


def note(text: str, *rows: Row) -> Card:
    """A few words, with what can be done."""
    return Card(COLOURS[Category.BASICS], ui.TextDisplay(text), *rows)


def problems(found: Sequence[Problem]) -> Card:
    """What is wrong with the content, in place of what cannot be shown because of it."""
    lines = [
        f"- {quoted(f'{problem.path.name}:{problem.position.line}:{problem.position.column}')} "
        + discord.utils.escape_markdown(printable(problem.message))
        for problem in found
    ]
    shown = [line for line, total in zip(lines, accumulate(map(len, lines)), strict=True) if total < MOST_OF_PROBLEMS]
    more = len(lines) - len(shown)
    head = f"## {len(found)} problem{'s' * (len(found) > 1)}"
    return Card(PROBLEM_COLOUR, *_texts(head, "\n".join(shown), f"-# and {more} more" if more else None))


def topic_button(tr: Language, topic: Topic, label: str | None = None) -> ui.Button[Any]:
    """Leads to the topic's card."""
    title = translated(topic, tr.locale).title
    return ui.Button(label=label or title, custom_id=custom_ids.topic(topic.slug))


def _head(tr: Language, topic: Topic, heading: str, *small: str | None) -> str:
    facts = [f"-# {line}" for line in (_facts(tr, topic), *small) if line]
    return "\n".join([f"## {heading}", topic.summary, *facts])


def _texts(*texts: str | None) -> list[Part]:
    return [ui.TextDisplay(text) for text in texts if text]


def _parted(*texts: str | None) -> list[Part]:
    """The texts, with a line above each but the first."""
    first, *others = _texts(*texts)
    return [first, *(part for text in others for part in (ui.Separator(), text))]


def _section(heading: str, text: str) -> str:
    return f"### {heading}\n{text}"


def _lead(tr: Language, topic: Topic) -> str:
    return f"{_status_note(tr, topic)}{topic.body.what_it_is}"


def _first_paragraph(tr: Language, topic: Topic) -> str:
    """A paragraph that only introduces a list is none without it."""
    paragraphs = topic.body.what_it_is.split("\n\n")
    end = 2 if paragraphs[0].endswith(":") else 1
    return _status_note(tr, topic) + "\n\n".join(paragraphs[:end])


def _post_title(tr: Language, topic: Topic) -> str:
    return tr("This week: {title}", title=topic.title)


def _introduction(tr: Language, topic: Topic) -> str:
    return "\n".join(filter(None, [_first_paragraph(tr, topic), _install(topic)]))


def _tasks(tr: Language, topic: Topic) -> list[tuple[str, str]]:
    """What to do in the week, each under its heading."""
    return [(tr("The week"), numbered(topic.body.week)), (tr("Discuss"), topic.body.discuss)]


def _status_note(tr: Language, topic: Topic) -> str:
    if not (isinstance(topic, Framework) and topic.status_note):
        return ""
    status = tr(STATUSES[topic.status])
    return f"**{status[0].upper()}{status[1:]}.** {topic.status_note}\n\n"


def _reasons(tr: Language, topic: Topic) -> list[str]:
    """Why and why not."""
    body = topic.body
    if isinstance(body, FrameworkBody):
        return [_section(tr("When to choose it"), body.when_to_choose), _section(tr("When not to"), body.when_not)]
    return [_section(tr("Why it matters"), body.why_it_matters)]


def _install(topic: Topic) -> str | None:
    return f"```sh\n{topic.body.first_steps.install}\n```" if isinstance(topic, Framework) else None


def _first_steps(tr: Language, topic: Topic) -> str | None:
    if not isinstance(topic, Framework):
        return None
    steps = topic.body.first_steps
    text = f"{_install(topic)}\n```{steps.language}\n{steps.example}\n```"
    if steps.output is None:
        return text
    printing = tr("It prints:") if topic.run == DEFAULT_RUN else tr("`{command}` prints:", command=topic.run)
    return f"{text}\n{printing}\n```text\n{steps.output}\n```"


def _quiz(_: Language, topic: Topic) -> str:
    quiz = topic.body.quiz
    answers = "\n".join(f"{letter}. {answer}" for letter, answer in zip(LETTERS, quiz.answers, strict=True))
    return f"{quiz.question}\n\n{answers}\n\n||**{LETTERS[quiz.right]}.** {quiz.why}||"


def _facts(tr: Language, topic: Topic) -> str:
    facts = [tr(CATEGORIES[topic.category])]
    if isinstance(topic, Framework):
        status = [] if topic.status is Status.ACTIVE else [tr(STATUSES[topic.status])]
        facts += [tr("since {year}", year=topic.first_release), topic.licence, f"Python {topic.python}", *status]
    return " · ".join(facts)


def _links(tr: Language, topic: Topic) -> dict[str, str]:
    """Addresses by what they are called."""
    if not isinstance(topic, Framework):
        return {}
    links = {tr("Docs"): topic.docs, tr("Source"): topic.source}
    if topic.homepage not in links.values():
        links[tr("Website")] = topic.homepage
    return links


def _link_rows(links: dict[str, str]) -> list[Row]:
    return [Row(*(ui.Button(label=label, url=url) for label, url in links.items()))] if links else []


def _section_select(tr: Language, topic: Topic) -> ui.Select[Any]:
    names = section_names(tr, topic)
    options = [discord.SelectOption(label=heading, value=name) for name, heading in names.items()]
    return ui.Select(custom_id=custom_ids.sections(topic.slug), placeholder=tr("Read a section"), options=options)


def _topic_select(tr: Language, topics: Sequence[Topic]) -> ui.Select[Any]:
    options = [discord.SelectOption(label=topic.title, value=topic.slug) for topic in topics]
    return ui.Select(custom_id=custom_ids.OPEN, placeholder=tr("Open a topic"), options=options)


def _had(tr: Language, delivery: Delivery | None) -> str | None:
    if delivery is None:
        return None
    return tr("Posted in this channel {when}.", when=moment(delivery.sent_at or delivery.slot, "R"))


def _related(tr: Language, topics: Sequence[Topic]) -> list[Part]:
    buttons = [topic_button(tr, topic) for topic in topics]
    rows = [Row(*buttons[first : first + RELATED_A_ROW]) for first in range(0, len(buttons), RELATED_A_ROW)]
    return [*_texts(f"-# {tr('Related topics')}"), *rows] if rows else []


def _page_button(label: str, track: Track, page: int, *, enabled: bool) -> ui.Button[Any]:
    return ui.Button(label=label, custom_id=custom_ids.track(track.slug, max(page, 0)), disabled=not enabled)


_COMPARED: dict[str, Callable[[Language, Framework], object]] = {
    N_("Category"): lambda tr, topic: tr(CATEGORIES[topic.category]),
    N_("First release"): lambda _, topic: topic.first_release,
    N_("Version"): lambda _, topic: topic.version,
    N_("Licence"): lambda _, topic: topic.licence,
    N_("Python"): lambda _, topic: topic.python,
    N_("Status"): lambda tr, topic: tr(STATUSES[topic.status]),
}
_SECTIONS: dict[str, Callable[[Language, Topic], str | None]] = {
    "what_it_is": _lead,
    "why_it_matters": lambda _, topic: getattr(topic.body, "why_it_matters", None),
    "when_to_choose": lambda _, topic: getattr(topic.body, "when_to_choose", None),
    "when_not": lambda _, topic: getattr(topic.body, "when_not", None),
    "first_steps": _first_steps,
    "week": lambda _, topic: numbered(topic.body.week),
    "discuss": lambda _, topic: topic.body.discuss,
    "quiz": _quiz,
}
