"""Cards stay within Discord's limits: those of the real content, and those of the largest valid topic."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, time
from typing import Any
from urllib.parse import urlsplit

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discord_server import embed as embeds
from discord_server.component import texts, walk
from fakes import MONDAY
from weekbot.bot.cards import card as cards
from weekbot.bot.cards import custom_ids, member_cards, topic_cards, topic_lists
from weekbot.bot.cards.comparison import comparison
from weekbot.bot.cards.post_renderer import PREVIEW_ID, RenderedPosts
from weekbot.bot.cards.status_panel import Overview, SubscriptionStatus, manage_card, status_card
from weekbot.content import model
from weekbot.content.library import Library
from weekbot.content.model import Category, Concept, Framework, Status, Topic
from weekbot.content.tracks import EVERYTHING, Track
from weekbot.domain.deliveries import Delivery, PostForm, State
from weekbot.domain.guilds import GuildSettings
from weekbot.domain.schedule import next_slot
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.i18n.language import ENGLISH, Language, languages

MAX_TEXT, MAX_COMPONENTS, MAX_LABEL, MAX_CUSTOM_ID, MAX_URL = 4000, 40, 80, 100, 512
MAX_OPTIONS, MAX_OPTION, MAX_ROW = 25, 100, 5
MAX_TITLE, MAX_DESCRIPTION, MAX_FIELDS, MAX_FOOTER, MAX_EMBED = 256, 4096, 25, 2048, 6000
MAX_NAME, MAX_VALUE = 256, 1024
DELIVERY = "f" * 24
ROLE = CHANNEL = 2**63
URL = f"https://example.org/{'u' * 180}"
SLUG = "s" * 40

Components = list[dict[str, Any]]
Button, Select = discord.ComponentType.button.value, discord.ComponentType.string_select.value


def components(card: discord.ui.LayoutView) -> Components:
    return list(card.to_components())  # type: ignore[no-untyped-call]


def kinds(card: discord.ui.LayoutView, kind: int) -> Components:
    return [each for each in walk(components(card)) if each["type"] == kind]


def assert_in_limits(card: discord.ui.LayoutView) -> None:
    everything = list(walk(components(card)))
    shown = texts(components(card))
    ids = [each["custom_id"] for each in everything if "custom_id" in each]
    assert len(everything) <= MAX_COMPONENTS
    assert all(shown)
    assert sum(map(len, shown)) <= MAX_TEXT
    assert len(set(ids)) == len(ids)
    assert all(1 <= len(each) <= MAX_CUSTOM_ID for each in ids)
    for row in (each for each in everything if each["type"] == discord.ComponentType.action_row.value):
        assert 1 <= len(row["components"]) <= MAX_ROW
    for button in kinds(card, Button):
        assert_button_in_limits(button)
    for select in kinds(card, Select):
        assert_select_in_limits(select)


def assert_button_in_limits(button: dict[str, Any]) -> None:
    assert 1 <= len(button["label"]) <= MAX_LABEL
    assert ("url" in button) != ("custom_id" in button)
    if "url" in button:
        parts = urlsplit(button["url"])
        assert parts.scheme == "https"
        assert parts.hostname
        assert len(button["url"]) <= MAX_URL


def assert_select_in_limits(select: dict[str, Any]) -> None:
    assert 1 <= len(select["options"]) <= MAX_OPTIONS
    assert all(1 <= len(option["label"]) <= MAX_OPTION for option in select["options"])
    assert all(1 <= len(option["value"]) <= MAX_OPTION for option in select["options"])


def assert_embed_in_limits(embed: discord.Embed) -> None:
    payload = embed.to_dict()
    shown = [payload["title"], payload["description"], payload["footer"]["text"]]
    shown += [text for field in payload["fields"] for text in (field["name"], field["value"])]
    assert all(text.strip() for text in shown)
    assert len(payload["title"]) <= MAX_TITLE
    assert len(payload["description"]) <= MAX_DESCRIPTION
    assert len(payload["footer"]["text"]) <= MAX_FOOTER
    assert len(payload["fields"]) <= MAX_FIELDS
    assert all(len(field["name"]) <= MAX_NAME and len(field["value"]) <= MAX_VALUE for field in payload["fields"])
    assert sum(map(len, shown)) <= MAX_EMBED


def post_with_role(tr: Language, topic: Topic, role_id: int) -> discord.ui.LayoutView:
    card = RenderedPosts().render(topic, DELIVERY, role_id, tr.locale, PostForm.COMPONENTS)["view"]
    assert isinstance(card, discord.ui.LayoutView)
    return card


def all_cards(tr: Language, topic: Topic, related: list[Topic]) -> Iterator[discord.ui.LayoutView]:
    """Yield every card that shows the topic."""
    yield post_with_role(tr, topic, ROLE)
    yield topic_cards.post(tr, topic, PREVIEW_ID)
    yield topic_cards.lookup(tr, topic, related)
    yield topic_cards.lookup(tr, topic)
    yield topic_cards.lookup(tr, topic, related, health(1, State.SENT).last, f"https://example.org/{'u' * 400}")
    yield from (topic_cards.section(tr, topic, name) for name in topic_cards.section_names(tr, topic))
    yield member_cards.quiz(tr, topic)
    yield from (member_cards.quiz_result(tr, topic, chosen, new=True) for chosen in range(4))
    yield topic_lists.near_misses(tr, "n" * 6000, [topic])
    yield from (comparison(tr, topic, other) for other in OTHERS)
    yield from (comparison(tr, other, topic) for other in related[1:2])


def text_of_length(limit: int, end: str = "") -> str:
    return f"{'x' * (limit - len(end))}{end}"


def largest_facts(number: int) -> dict[str, Any]:
    return {
        "slug": f"{number:040}",
        "title": text_of_length(60),
        "category": Category.MACHINE_LEARNING,
        "aliases": tuple(f"{number:030}{alias:010}" for alias in range(12)),
        "summary": text_of_length(160, "."),
        "tags": tuple(text_of_length(20) for _ in range(6)),
        "related": tuple(f"{other:040}" for other in range(6)),
        "sources": (URL,),
        "reviewed": date(2026, 11, 1),
    }


def largest_body() -> dict[str, Any]:
    return {
        "what_it_is": text_of_length(800),
        "week": tuple(text_of_length(140) for _ in range(7)),
        "discuss": text_of_length(250, "?"),
        "quiz": {
            "question": text_of_length(200, "?"),
            "answers": [text_of_length(80)] * 4,
            "right": 3,
            "why": text_of_length(300),
        },
    }


def largest_framework(number: int = 0) -> Framework:
    """Return a topic with every field at its limit."""
    example = "\n" * 24 + text_of_length(776)
    prose = {"when_to_choose": text_of_length(600), "when_not": text_of_length(600)}
    output = "\n" * 11 + text_of_length(289)
    steps = {"install": text_of_length(100), "example": f"x{example[:-1]}", "language": "p" * 20, "output": output}
    return Framework.model_validate(
        largest_facts(number)
        | {
            "kind": "framework",
            "package": "p" * 60,
            "homepage": URL,
            "docs": f"{URL[:-1]}d",
            "source": f"{URL[:-1]}s",
            "licence": text_of_length(40),
            "first_release": 2100,
            "status": Status.MAINTENANCE,
            "status_note": text_of_length(150, "."),
            "python": ">=3.10,!=3.10.1,!=3.10.2,<4.00",
            "version": "1" * 30,
            "run": text_of_length(60, " test_prices.py"),
            "body": largest_body() | prose | {"first_steps": steps},
        }
    )


def largest_concept(number: int = 0) -> Concept:
    """Return a topic with every field at its limit."""
    body = largest_body() | {"why_it_matters": text_of_length(600)}
    return Concept.model_validate(largest_facts(number) | {"kind": "concept", "body": body})


def largest_library() -> Library:
    topics: list[Topic] = [
        largest_concept(number) if number % 2 else largest_framework(number)
        for number in range(2 * topic_lists.PAGE_SIZE)
    ]
    track = {
        "title": text_of_length(60),
        "summary": text_of_length(160, "."),
        "topics": [topic.slug for topic in topics],
    }
    return Library(topics, [Track.model_validate(track | {"slug": slug}) for slug in (EVERYTHING, SLUG)])


in_every_language = pytest.mark.parametrize("tr", languages(), ids=lambda tr: tr.locale)
LARGEST: list[Topic] = [largest_framework(), largest_concept()]
OTHERS: list[Topic] = [largest_framework(7), largest_concept(8)]


def test_every_card_of_every_topic_is_in_limits(library: Library) -> None:
    for topic in library.topics.values():
        for card in all_cards(ENGLISH, topic, library.related(topic)):
            assert_in_limits(card)


@in_every_language
def test_every_post_is_in_limits_as_a_card_and_as_an_embed(tr: Language, library: Library) -> None:
    for topic in library.topics.values():
        assert_in_limits(post_with_role(tr, topic, ROLE))
        assert_embed_in_limits(topic_cards.post_embed(tr, topic))


@pytest.mark.parametrize("topic", LARGEST, ids=lambda topic: topic.kind)
@in_every_language
def test_every_card_of_the_largest_valid_topic_is_in_limits(tr: Language, topic: Topic) -> None:
    for card in all_cards(tr, topic, [largest_framework(number) for number in range(6)]):
        assert_in_limits(card)
    assert_embed_in_limits(topic_cards.post_embed(tr, topic))
    assert 1 <= len(topic_cards.post_buttons(tr, topic, DELIVERY).children) <= MAX_ROW


def lengthened(value: Any) -> Any:
    """Return the value with one more character or item, which exceeds its limit."""
    return value + value[:1]


@pytest.mark.parametrize("topic", LARGEST, ids=lambda topic: topic.kind)
def test_the_largest_topic_has_every_field_at_its_limit(topic: Topic) -> None:
    """So a raised limit also raises the size in the test above."""
    shown = {"title", "summary", "status_note", "licence", "homepage", "slug", "related"}
    for name in shown & topic.model_fields_set:
        longer = topic.model_dump() | {name: lengthened(getattr(topic, name))}
        with pytest.raises(ValueError, match=rf"(?s)\n{name}\n"):
            type(topic).model_validate(longer)
    for name in topic.body.model_fields_set - {"quiz", "first_steps"}:
        longer = topic.model_dump()
        longer["body"][name] = lengthened(longer["body"][name])
        with pytest.raises(ValueError, match=rf"body\.{name}"):
            type(topic).model_validate(longer)


def test_the_largest_track_is_in_limits_on_every_page() -> None:
    library = largest_library()
    for page in range(7):
        assert_in_limits(topic_lists.topic_list(ENGLISH, library, library.tracks[SLUG], page))


def test_every_track_is_in_limits_on_every_page(library: Library) -> None:
    for track in library.tracks.values():
        for page in range(3):
            assert_in_limits(topic_lists.topic_list(ENGLISH, library, track, page))


def test_the_pages_of_a_track_list_each_topic_once_in_order(library: Library) -> None:
    track = library.tracks[EVERYTHING]
    pages = [topic_lists.topic_list(ENGLISH, library, track, page) for page in range(7)]
    listed = [line for page in pages for text in texts(components(page)) for line in text.splitlines()]
    titles = [match[1] for line in listed if (match := re.match(r"\d+\. \*\*(.+?)\*\*", line))]
    assert titles == [library.topics[slug].title for slug in track.topics]


@pytest.mark.parametrize(
    ("page", "enabled"), [(0, ["Next"]), (1, ["Previous", "Next"]), (6, ["Previous"]), (99, ["Previous"])]
)
def test_a_list_has_enabled_buttons_only_for_existing_pages(library: Library, page: int, enabled: list[str]) -> None:
    card = topic_lists.topic_list(ENGLISH, library, library.tracks[EVERYTHING], page)
    assert [button["label"] for button in kinds(card, Button) if not button.get("disabled")] == enabled


def test_a_comparison_shows_common_facts_once(library: Library) -> None:
    text = "\n".join(texts(components(comparison(ENGLISH, library.topics["flask"], library.topics["django"]))))
    for part in (
        "## Flask or Django",
        "- Licence: BSD-3-Clause (both)",
        "- First release: Flask 2010, Django 2005",
        "### When to choose Flask",
        "### When to choose Django",
        "pip install Flask\npip install Django",
    ):
        assert part in text


def test_a_comparison_with_a_concept_omits_the_facts(library: Library) -> None:
    card = comparison(ENGLISH, library.topics["flask"], library.topics["what-is-a-framework"])
    text = "\n".join(texts(components(card)))
    assert "### Facts" not in text
    assert "### What is a framework: why it matters" in text
    assert "pip install Flask" in text


def test_a_post_contains_what_a_week_needs(library: Library) -> None:
    flask = library.topics["flask"]
    assert isinstance(flask, Framework)
    text = "\n".join(texts(components(topic_cards.post(ENGLISH, flask, DELIVERY))))
    steps = flask.body.first_steps
    for part in (flask.title, flask.summary, flask.body.what_it_is.split("\n\n")[0], steps.install, flask.body.discuss):
        assert part in text
    assert steps.example not in text  # shown by *More*, because it would fill a phone's screen
    assert all(f"{number}. {day}" in text for number, day in enumerate(flask.body.week, 1))


@in_every_language
def test_an_embed_contains_everything_in_the_card(tr: Language, library: Library) -> None:
    """Channels that follow may get only the embed."""
    for topic in (*library.topics.values(), *LARGEST):
        card, embed = topic_cards.post(tr, topic, DELIVERY), topic_cards.post_embed(tr, topic)
        shown = "\n".join(embeds.texts([dict(embed.to_dict())]))
        for line in "\n".join(texts(components(card))).splitlines():
            assert re.sub(r"^(## |### |-# )", "", line) in shown
        links = {button["url"] for button in kinds(card, Button) if "url" in button}
        assert set(re.findall(r"\]\((https://[^)]+)\)", str(embed.description))) >= links
        assert embed.url == (topic.homepage if isinstance(topic, Framework) else None)


def test_an_embed_has_the_facts_in_its_footer(library: Library) -> None:
    embed = topic_cards.post_embed(ENGLISH, library.topics["flask"])
    assert embed.title == "This week: Flask"
    assert [field.name for field in embed.fields] == ["The week", "Discuss"]
    assert embed.footer.text == "Web · since 2010 · BSD-3-Clause · Python >=3.9"
    assert embed.colour == discord.Colour(cards.COLOURS[Category.WEB])


def test_the_more_button_contains_the_delivery_id_and_the_topic(library: Library) -> None:
    [more] = [
        button
        for button in kinds(topic_cards.post(ENGLISH, library.topics["flask"], DELIVERY), Button)
        if button["label"] == "More"
    ]
    assert custom_ids.delivered(more["custom_id"]) == (DELIVERY, "flask")


def test_a_post_mentions_only_the_role_it_pings(library: Library) -> None:
    topic = library.topics["flask"]
    shown = texts(components(post_with_role(ENGLISH, topic, 42)))
    assert shown[0].startswith("## This week: Flask\n")  # the beginning of the notification
    assert shown[-1] == "<@&42>"
    assert "<@" not in "".join(texts(components(topic_cards.post(ENGLISH, topic, DELIVERY))))


def test_every_framework_links_to_its_docs_and_source(library: Library) -> None:
    for topic in library.topics.values():
        if isinstance(topic, Framework):
            for card in (topic_cards.post(ENGLISH, topic, DELIVERY), topic_cards.lookup(ENGLISH, topic)):
                links = {button["url"] for button in kinds(card, Button) if "url" in button}
                assert {topic.docs, topic.source, topic.homepage} == links


def test_an_archived_framework_begins_with_its_status(library: Library) -> None:
    note = "Nobody works on it any more."
    archived = library.topics["flask"].model_copy(update={"status": Status.ARCHIVED, "status_note": note})
    for card in (
        topic_cards.post(ENGLISH, archived, DELIVERY),
        topic_cards.lookup(ENGLISH, archived),
        topic_cards.section(ENGLISH, archived, "what_it_is"),
    ):
        assert any(text.startswith(f"**Archived.** {note}") for text in texts(components(card)))


def test_the_right_answer_of_a_quiz_is_a_spoiler() -> None:
    concept = largest_concept()
    quiz = model.Quiz(question="Which?", answers=("red", "green", "blue", "none"), right=2, why="It is.")
    card = topic_cards.section(
        ENGLISH, concept.model_copy(update={"body": concept.body.model_copy(update={"quiz": quiz})}), "quiz"
    )
    text = "\n".join(texts(components(card)))
    assert "C. blue" in text
    assert "||**C.** It is.||" in text


def test_the_select_menu_has_every_section(library: Library) -> None:
    for topic in library.topics.values():
        [select] = kinds(topic_cards.lookup(ENGLISH, topic), Select)
        assert [option["value"] for option in select["options"]] == list(topic_cards.section_names(ENGLISH, topic))


HOSTILE = [
    *("@everyone", "@here", "<@123456789012345678>", "<@&123456789012345678>", "<#123456789012345678>", "<t:0:R>"),
    *("</weekly post:123456789012345678>", "<:x:123456789012345678>", "[free](https://evil.example)"),
    *("```", "``", "\\`", "\n# ", "\r\n> ", "https://evil.example/**", "x" * 30, *"*_~`|\\>#-[]() "),
]


@given(st.lists(st.sampled_from(HOSTILE), max_size=6).map("".join))
@settings(max_examples=300, deadline=None)
def test_input_is_shown_as_code_without_mentions_or_markdown(typed: str) -> None:
    """In inline `code`, Discord shows every character unchanged up to the next backtick."""
    [text] = texts(components(topic_lists.near_misses(ENGLISH, typed, [])))
    assert re.fullmatch(r"There is no topic called `[^`\n\r]+`\. `/topic list` shows them all\.", text)


@given(st.text(max_size=6000))
@settings(max_examples=100, deadline=None)
def test_near_misses_are_in_limits_for_any_input(typed: str) -> None:
    assert_in_limits(topic_lists.near_misses(ENGLISH, typed, [largest_framework(number) for number in range(3)]))
    assert_in_limits(topic_lists.near_misses(ENGLISH, typed, []))


BERLIN = GuildSettings("Europe/Berlin")
REASON = "weekbot lacks a permission here; `/weekly status` names it"
PROBLEMS = (
    "weekbot is missing View Channel, Read Message History, Send Messages, Create Public Threads, "
    "Send Messages in Threads, Pin Messages; posts can be published only in an announcement channel; "
    f"weekbot isn't allowed to ping @{'r' * 100}"
)


def subscription(number: int) -> Subscription:
    options = Options(SLUG, weekday=2, at=time(23, 59), timezone="America/Argentina/ComodRivadavia", ping_role_id=ROLE)
    slot = next_slot(options.weekly("UTC"), MONDAY)
    return Subscription(number, ROLE, CHANNEL, options, "UTC", round=1, next_slot=slot, last_slot=slot)


def health(number: int, state: State, reason: str = "r" * 2000) -> SubscriptionStatus:
    """Return the status of a subscription in that state, with texts of maximum length."""
    blocked = reason if state is State.BLOCKED else None
    subscribed = replace(subscription(number), blocked=blocked, paused=state is State.MISSED)
    failures = [REASON, REASON, REASON] if state is State.SENT else []
    last = Delivery(DELIVERY, subscribed, MONDAY, SLUG, 1, True, False, state, message_id=ROLE, message_channel_id=ROLE)
    coming = largest_framework()
    return SubscriptionStatus(subscribed, coming, replace(last, reason=reason), coming.title, failures, PROBLEMS)


@pytest.mark.parametrize("state", State)
@in_every_language
def test_the_status_of_a_few_channels_is_in_limits(tr: Language, state: State) -> None:
    for count in (0, 1, 3):
        assert_in_limits(status_card(tr, overview([health(number, state) for number in range(count)]), BERLIN))
    assert_in_limits(manage_card(tr, health(0, state), "n" * 400))


@pytest.mark.parametrize("state", [State.SENT, State.MISSED, State.BLOCKED, State.PENDING, State.UNVERIFIED])
@in_every_language
def test_the_status_of_many_channels_is_in_limits_with_any_problems(tr: Language, state: State) -> None:
    states = [health(number, state) for number in range(10)]
    assert_in_limits(status_card(tr, overview(states, first=90, total=120), BERLIN))


def test_the_status_of_many_healthy_channels_shows_ten_and_a_next_button(library: Library) -> None:
    flask = library.topics["flask"]
    states = [replace(health(number, State.SENT, ""), upcoming=flask, title=flask.title) for number in range(10)]
    healthy = [replace(state, failures=[], trouble=None) for state in states]
    card = status_card(ENGLISH, overview(healthy, total=12), BERLIN)
    assert_in_limits(card)
    assert any("1 to 10 of 12" in text for text in texts(components(card)))
    assert [button["custom_id"] for button in kinds(card, Button) if button["label"] == "Next"] == ["weekbot:status:10"]


def overview(states: list[SubscriptionStatus], first: int = 0, total: int | None = None) -> Overview:
    for number, state in enumerate(states):
        states[number] = replace(state, subscription=replace(state.subscription, channel_id=CHANNEL - number))
    total = len(states) if total is None else total
    followers = range(CHANNEL, CHANNEL + 20)
    return Overview(states, first, total, in_trouble=1, paused=1, followers=followers, has_notice_channel=False)


def status_of(state: SubscriptionStatus) -> str:
    return "\n".join(texts(components(status_card(ENGLISH, overview([state]), GuildSettings()))))


def test_the_status_of_a_channel_shows_a_problem_with_its_next_post() -> None:
    text = status_of(replace(health(1, State.SENT), trouble="the role to ping is gone"))
    assert "Problem: the role to ping is gone." in text
    assert "⚠️ **<#" in text


NEEDS = ["View Channel", "Send Messages"]


def test_a_blocked_channel_with_restored_permissions_names_them_and_announces_a_retry() -> None:
    text = status_of(replace(health(1, State.BLOCKED, REASON), trouble=None, needs=NEEDS))
    assert (
        "Blocked: weekbot was missing one of View Channel and Send Messages. "
        "Everything seems to be fine now; I'll try again with the next post."
    ) in text
    assert "names it" not in text


def test_a_blocked_channel_names_a_permission_that_is_still_missing() -> None:
    text = status_of(replace(health(1, State.BLOCKED, REASON), trouble="weekbot is missing Send Messages", needs=NEEDS))
    assert "Blocked: weekbot is missing Send Messages. No topic is lost; I try again each week." in text
    assert "names it" not in text


@pytest.mark.parametrize(
    ("needs", "named"), [(NEEDS, "one of View Channel and Send Messages"), ([], "a permission")], ids=str
)
def test_a_refused_step_names_its_required_permissions(needs: list[str], named: str) -> None:
    text = status_of(replace(health(1, State.SENT), trouble=None, failures=[REASON], needs=needs))
    assert f"-# weekbot was missing {named}" in text
    assert "names it" not in text


def test_the_status_of_a_healthy_channel_has_a_check_mark() -> None:
    text = status_of(replace(health(1, State.SENT), trouble=None, failures=[]))
    assert "✅ **<#" in text
    assert "Problem: " not in text
