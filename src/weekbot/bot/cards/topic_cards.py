"""Cards of topics: the weekly post, the answer to a lookup, and a section."""

from collections.abc import Callable, Sequence
from typing import Any

import discord
from discord import ButtonStyle, ui

from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.card import CATEGORIES, COLOURS, STATUSES, Card, Row, button, separated, texts, topic_button
from weekbot.bot.cards.formatting import message_link, moment, numbered, with_heading
from weekbot.content.model import DEFAULT_RUN, Framework, FrameworkBody, Status, Topic, translated
from weekbot.domain.deliveries import Delivery
from weekbot.i18n.language import Language

LETTERS = "ABCD"  # of a quiz's answers
RELATED_PER_ROW = 3


def post(tr: Language, topic: Topic, delivery_id: str) -> Card:
    """The weekly post: an introduction and the week's tasks; *More* opens the rest."""
    topic = translated(topic, tr.locale)
    return Card(
        COLOURS[topic.category],
        ui.TextDisplay(_head(tr, topic, _post_title(tr, topic))),
        ui.Separator(),
        *separated(_introduction(tr, topic), *(with_heading(*each) for each in _tasks(tr, topic))),
        post_buttons(tr, topic, delivery_id),
        *_link_rows(_links(tr, topic)),
    )


def post_embed(tr: Language, topic: Topic) -> discord.Embed:
    """The weekly post as an embed. Its links are text, because following channels show no buttons."""
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
    return Row(
        button(tr("I finished it"), custom_ids.finished(topic.slug), ButtonStyle.success),
        button(tr("Quiz me"), custom_ids.quiz(topic.slug)),
        button(tr("More"), custom_ids.more(delivery_id, topic.slug)),
    )


def lookup(
    tr: Language,
    topic: Topic,
    related: Sequence[Topic] = (),
    past_post: Delivery | None = None,
    improvement_url: str | None = None,
) -> Card:
    """The answer to a lookup: what helps to decide for or against the topic; the sections have the rest.

    `past_post` is the channel's last post of the topic, `improvement_url` the address of the topic's file.
    """
    topic = translated(topic, tr.locale)
    links = _links(tr, topic)
    if past_post and (link := message_link(past_post)):
        links[tr("Posted here")] = link
    if improvement_url:
        links[tr("Improve this topic")] = improvement_url
    return Card(
        COLOURS[topic.category],
        ui.TextDisplay(_head(tr, topic, topic.title, _footnote(tr, past_post))),
        ui.Separator(),
        *separated(_first_paragraph(tr, topic), *_reasons(tr, topic), _install(topic)),
        *_link_rows(links),
        Row(_section_select(tr, topic)),
        *texts(f"-# {tr('Related topics')}" if related else None),
        *_related_rows(tr, related),
    )


def section(tr: Language, topic: Topic, name: str) -> Card:
    """One section of the topic; `name` is one of `section_names`."""
    topic = translated(topic, tr.locale)
    heading = f"## {topic.title}: {section_names(tr, topic)[name]}"
    render = _SECTIONS.get(name)
    text = render(tr, topic) if render else getattr(topic.body, name, None)
    return Card(COLOURS[topic.category], *texts(heading, text), Row(_section_select(tr, topic)))


def section_names(tr: Language, topic: Topic) -> dict[str, str]:
    """The headings of the topic's sections, by their names in the model."""
    return {name: tr(str(field.title)) for name, field in type(topic.body).model_fields.items()}


def _head(tr: Language, topic: Topic, heading: str, *small: str | None) -> str:
    facts = [f"-# {line}" for line in (_facts(tr, topic), *small) if line]
    return "\n".join([f"## {heading}", topic.summary, *facts])


def _first_paragraph(tr: Language, topic: Topic) -> str:
    """The first paragraph; one that introduces a list is shown with the list."""
    paragraphs = topic.body.what_it_is.split("\n\n")
    end = 2 if paragraphs[0].endswith(":") else 1
    return _status_note(tr, topic) + "\n\n".join(paragraphs[:end])


def _post_title(tr: Language, topic: Topic) -> str:
    return tr("This week: {title}", title=topic.title)


def _introduction(tr: Language, topic: Topic) -> str:
    return "\n".join(filter(None, [_first_paragraph(tr, topic), _install(topic)]))


def _tasks(tr: Language, topic: Topic) -> list[tuple[str, str]]:
    """The week's tasks, each with its heading."""
    return [(tr("The week"), numbered(topic.body.week)), (tr("Discuss"), topic.body.discuss)]


def _status_note(tr: Language, topic: Topic) -> str:
    if not (isinstance(topic, Framework) and topic.status_note):
        return ""
    status = tr(STATUSES[topic.status])
    return f"**{status[0].upper()}{status[1:]}.** {topic.status_note}\n\n"


def _reasons(tr: Language, topic: Topic) -> list[str]:
    body = topic.body
    if not isinstance(body, FrameworkBody):
        return [with_heading(tr("Why it matters"), body.why_it_matters)]
    return [with_heading(tr("When to choose it"), body.when_to_choose), with_heading(tr("When not to"), body.when_not)]


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
    """Addresses by label."""
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


def _footnote(tr: Language, past_post: Delivery | None) -> str | None:
    if past_post is None:
        return None
    return tr("Posted in this channel {when}.", when=moment(past_post.sent_at or past_post.slot, "R"))


def _related_rows(tr: Language, topics: Sequence[Topic]) -> list[Row]:
    buttons = [topic_button(tr, topic) for topic in topics]
    return [Row(*buttons[first : first + RELATED_PER_ROW]) for first in range(0, len(buttons), RELATED_PER_ROW)]


# Sections without an entry here are shown as they are in the topic's file.
_SECTIONS: dict[str, Callable[[Language, Topic], str | None]] = {
    "what_it_is": lambda tr, topic: _status_note(tr, topic) + topic.body.what_it_is,
    "first_steps": _first_steps,
    "week": lambda _, topic: numbered(topic.body.week),
    "quiz": _quiz,
}
