"""The card of `/compare`: two topics side by side."""

from collections.abc import Callable

from discord import ui

from weekbot.bot.cards.card import CATEGORIES, COLOURS, STATUSES, Card, Row, separated, topic_button
from weekbot.bot.cards.formatting import with_heading
from weekbot.content.model import Framework, Topic, translated
from weekbot.i18n.language import N_, Language


def comparison(tr: Language, first: Topic, second: Topic) -> Card:
    """Facts, when to choose which, and how to install either."""
    both = [translated(topic, tr.locale) for topic in (first, second)]
    summaries = "\n".join(f"**{topic.title}**: {topic.summary}" for topic in both)
    frameworks = [topic for topic in both if isinstance(topic, Framework)]
    installs = "\n".join(topic.body.first_steps.install for topic in frameworks)
    head = tr("{first} or {second}", first=both[0].title, second=both[1].title)
    return Card(
        COLOURS[first.category],
        ui.TextDisplay(f"## {head}\n{summaries}"),
        ui.Separator(),
        *separated(
            _facts(tr, *frameworks) if len(frameworks) > 1 else None,
            *(_why(tr, topic) for topic in both),
            with_heading(tr("Install"), f"```sh\n{installs}\n```") if installs else None,
        ),
        Row(*(topic_button(tr, topic) for topic in both)),
    )


def _why(tr: Language, topic: Topic) -> str:
    if isinstance(topic, Framework):
        return with_heading(tr("When to choose {title}", title=topic.title), topic.body.when_to_choose)
    return with_heading(tr("{title}: why it matters", title=topic.title), topic.body.why_it_matters)


def _facts(tr: Language, first: Framework, second: Framework) -> str:
    """One line per fact; a fact that both share is stated once."""
    lines = []
    for label, fact in _COMPARED.items():
        one, other = fact(tr, first), fact(tr, second)
        both = tr("{fact} (both)", fact=one)
        lines.append(f"- {tr(label)}: {both if one == other else f'{first.title} {one}, {second.title} {other}'}")
    return with_heading(tr("Facts"), "\n".join(lines))


_COMPARED: dict[str, Callable[[Language, Framework], object]] = {
    N_("Category"): lambda tr, topic: tr(CATEGORIES[topic.category]),
    N_("First release"): lambda _, topic: topic.first_release,
    N_("Version"): lambda _, topic: topic.version,
    N_("Licence"): lambda _, topic: topic.licence,
    N_("Python"): lambda _, topic: topic.python,
    N_("Status"): lambda tr, topic: tr(STATUSES[topic.status]),
}
