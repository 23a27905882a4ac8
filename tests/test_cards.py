"""Cards inside Discord's limits: those of the real content, and those of the largest topic that the check lets pass."""

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

MOST_TEXT, MOST_COMPONENTS, MOST_LABEL, MOST_CUSTOM_ID, MOST_URL = 4000, 40, 80, 100, 512
MOST_OPTIONS, MOST_OPTION, MOST_IN_A_ROW = 25, 100, 5
MOST_TITLE, MOST_DESCRIPTION, MOST_FIELDS, MOST_FOOTER, MOST_EMBEDDED = 256, 4096, 25, 2048, 6000
MOST_NAME, MOST_VALUE = 256, 1024
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
    said = texts(components(card))
    ids = [each["custom_id"] for each in everything if "custom_id" in each]
    assert len(everything) <= MOST_COMPONENTS
    assert all(said)
    assert sum(map(len, said)) <= MOST_TEXT
    assert len(set(ids)) == len(ids)
    assert all(1 <= len(each) <= MOST_CUSTOM_ID for each in ids)
    for row in (each for each in everything if each["type"] == discord.ComponentType.action_row.value):
        assert 1 <= len(row["components"]) <= MOST_IN_A_ROW
    for button in kinds(card, Button):
        assert_button_in_limits(button)
    for select in kinds(card, Select):
        assert_select_in_limits(select)


def assert_button_in_limits(button: dict[str, Any]) -> None:
    assert 1 <= len(button["label"]) <= MOST_LABEL
    assert ("url" in button) != ("custom_id" in button)
    if "url" in button:
        parts = urlsplit(button["url"])
        assert parts.scheme == "https"
        assert parts.hostname
        assert len(button["url"]) <= MOST_URL


def assert_select_in_limits(select: dict[str, Any]) -> None:
    assert 1 <= len(select["options"]) <= MOST_OPTIONS
    assert all(1 <= len(option["label"]) <= MOST_OPTION for option in select["options"])
    assert all(1 <= len(option["value"]) <= MOST_OPTION for option in select["options"])


def assert_embed_in_limits(embed: discord.Embed) -> None:
    sent = embed.to_dict()
    said = [sent["title"], sent["description"], sent["footer"]["text"]]
    said += [text for field in sent["fields"] for text in (field["name"], field["value"])]
    assert all(text.strip() for text in said)
    assert len(sent["title"]) <= MOST_TITLE
    assert len(sent["description"]) <= MOST_DESCRIPTION
    assert len(sent["footer"]["text"]) <= MOST_FOOTER
    assert len(sent["fields"]) <= MOST_FIELDS
    assert all(len(field["name"]) <= MOST_NAME and len(field["value"]) <= MOST_VALUE for field in sent["fields"])
    assert sum(map(len, said)) <= MOST_EMBEDDED


def post_with_role(tr: Language, topic: Topic, role_id: int) -> discord.ui.LayoutView:
    card = RenderedPosts().render(topic, DELIVERY, role_id, tr.locale, PostForm.COMPONENTS)["view"]
    assert isinstance(card, discord.ui.LayoutView)
    return card


def forms(tr: Language, topic: Topic, related: list[Topic]) -> Iterator[discord.ui.LayoutView]:
    """Every card that shows the topic."""
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


def full(limit: int, end: str = "") -> str:
    return f"{'x' * (limit - len(end))}{end}"


def largest_facts(number: int) -> dict[str, Any]:
    return {
        "slug": f"{number:040}",
        "title": full(60),
        "category": Category.MACHINE_LEARNING,
        "aliases": tuple(f"{number:030}{alias:010}" for alias in range(12)),
        "summary": full(160, "."),
        "tags": tuple(full(20) for _ in range(6)),
        "related": tuple(f"{other:040}" for other in range(6)),
        "sources": (URL,),
        "reviewed": date(2026, 11, 1),
    }


def largest_body() -> dict[str, Any]:
    return {
        "what_it_is": full(800),
        "week": tuple(full(140) for _ in range(7)),
        "discuss": full(250, "?"),
        "quiz": {"question": full(200, "?"), "answers": [full(80)] * 4, "right": 3, "why": full(300)},
    }


def largest_framework(number: int = 0) -> Framework:
    """Every field at its limit."""
    example = "\n" * 24 + full(776)
    prose = {"when_to_choose": full(600), "when_not": full(600)}
    output = "\n" * 11 + full(289)
    steps = {"install": full(100), "example": f"x{example[:-1]}", "language": "p" * 20, "output": output}
    return Framework.model_validate(
        largest_facts(number)
        | {
            "kind": "framework",
            "package": "p" * 60,
            "homepage": URL,
            "docs": f"{URL[:-1]}d",
            "source": f"{URL[:-1]}s",
            "licence": full(40),
            "first_release": 2100,
            "status": Status.MAINTENANCE,
            "status_note": full(150, "."),
            "python": ">=3.10,!=3.10.1,!=3.10.2,<4.00",
            "version": "1" * 30,
            "run": full(60, " test_prices.py"),
            "body": largest_body() | prose | {"first_steps": steps},
        }
    )


def largest_concept(number: int = 0) -> Concept:
    """Every field at its limit."""
    body = largest_body() | {"why_it_matters": full(600)}
    return Concept.model_validate(largest_facts(number) | {"kind": "concept", "body": body})


def largest_library() -> Library:
    topics: list[Topic] = [
        largest_concept(number) if number % 2 else largest_framework(number)
        for number in range(2 * topic_lists.PAGE_SIZE)
    ]
    track = {"title": full(60), "summary": full(160, "."), "topics": [topic.slug for topic in topics]}
    return Library(topics, [Track.model_validate(track | {"slug": slug}) for slug in (EVERYTHING, SLUG)])


in_every_language = pytest.mark.parametrize("tr", languages(), ids=lambda tr: tr.locale)
LARGEST: list[Topic] = [largest_framework(), largest_concept()]
OTHERS: list[Topic] = [largest_framework(7), largest_concept(8)]


def test_every_topic_is_in_limits_in_every_form(library: Library) -> None:
    for topic in library.topics.values():
        for card in forms(ENGLISH, topic, library.related(topic)):
            assert_in_limits(card)


@in_every_language
def test_every_topic_is_in_limits_as_a_post_of_either_kind(tr: Language, library: Library) -> None:
    for topic in library.topics.values():
        assert_in_limits(post_with_role(tr, topic, ROLE))
        assert_embed_in_limits(topic_cards.post_embed(tr, topic))


@pytest.mark.parametrize("topic", LARGEST, ids=lambda topic: topic.kind)
@in_every_language
def test_the_largest_topic_that_the_check_lets_pass_is_in_limits_in_every_form(tr: Language, topic: Topic) -> None:
    for card in forms(tr, topic, [largest_framework(number) for number in range(6)]):
        assert_in_limits(card)
    assert_embed_in_limits(topic_cards.post_embed(tr, topic))
    assert 1 <= len(topic_cards.post_buttons(tr, topic, DELIVERY).children) <= MOST_IN_A_ROW


def lengthened(value: Any) -> Any:
    """The same with one more character or item in it, such as no limit allows any more."""
    return value + value[:1]


@pytest.mark.parametrize("topic", LARGEST, ids=lambda topic: topic.kind)
def test_the_largest_topic_is_the_largest(topic: Topic) -> None:
    """So that a limit that is raised makes the test above try it."""
    drawn = {"title", "summary", "status_note", "licence", "homepage", "slug", "related"}
    for name in drawn & topic.model_fields_set:
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


def test_the_pages_of_a_track_hold_each_topic_once_in_order(library: Library) -> None:
    track = library.tracks[EVERYTHING]
    pages = [topic_lists.topic_list(ENGLISH, library, track, page) for page in range(7)]
    listed = [line for page in pages for text in texts(components(page)) for line in text.splitlines()]
    titles = [match[1] for line in listed if (match := re.match(r"\d+\. \*\*(.+?)\*\*", line))]
    assert titles == [library.topics[slug].title for slug in track.topics]


@pytest.mark.parametrize(
    ("page", "enabled"), [(0, ["Next"]), (1, ["Previous", "Next"]), (6, ["Previous"]), (99, ["Previous"])]
)
def test_a_list_can_be_turned_back_and_on_as_far_as_there_are_pages(
    library: Library, page: int, enabled: list[str]
) -> None:
    card = topic_lists.topic_list(ENGLISH, library, library.tracks[EVERYTHING], page)
    assert [button["label"] for button in kinds(card, Button) if not button.get("disabled")] == enabled


def test_a_comparison_says_once_what_both_share(library: Library) -> None:
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


def test_a_comparison_with_a_concept_leaves_the_facts_out(library: Library) -> None:
    card = comparison(ENGLISH, library.topics["flask"], library.topics["what-is-a-framework"])
    text = "\n".join(texts(components(card)))
    assert "### Facts" not in text
    assert "### What is a framework: why it matters" in text
    assert "pip install Flask" in text


def test_a_post_holds_what_a_week_needs(library: Library) -> None:
    flask = library.topics["flask"]
    assert isinstance(flask, Framework)
    text = "\n".join(texts(components(topic_cards.post(ENGLISH, flask, DELIVERY))))
    steps = flask.body.first_steps
    for part in (flask.title, flask.summary, flask.body.what_it_is.split("\n\n")[0], steps.install, flask.body.discuss):
        assert part in text
    assert steps.example not in text  # *More* has it: on a phone it would fill a screen of its own
    assert all(f"{number}. {day}" in text for number, day in enumerate(flask.body.week, 1))


@in_every_language
def test_an_embed_says_what_the_card_says_and_no_less(tr: Language, library: Library) -> None:
    """Whoever follows the channel may get the embed alone."""
    for topic in (*library.topics.values(), *LARGEST):
        card, embed = topic_cards.post(tr, topic, DELIVERY), topic_cards.post_embed(tr, topic)
        said = "\n".join(embeds.texts([dict(embed.to_dict())]))
        for line in "\n".join(texts(components(card))).splitlines():
            assert re.sub(r"^(## |### |-# )", "", line) in said
        links = {button["url"] for button in kinds(card, Button) if "url" in button}
        assert set(re.findall(r"\]\((https://[^)]+)\)", str(embed.description))) >= links
        assert embed.url == (topic.homepage if isinstance(topic, Framework) else None)


def test_an_embed_has_its_small_print_at_the_end(library: Library) -> None:
    embed = topic_cards.post_embed(ENGLISH, library.topics["flask"])
    assert embed.title == "This week: Flask"
    assert [field.name for field in embed.fields] == ["The week", "Discuss"]
    assert embed.footer.text == "Web · since 2010 · BSD-3-Clause · Python >=3.9"
    assert embed.colour == discord.Colour(cards.COLOURS[Category.WEB])


def test_the_more_button_holds_the_deliverys_id_and_the_topic(library: Library) -> None:
    [more] = [
        button
        for button in kinds(topic_cards.post(ENGLISH, library.topics["flask"], DELIVERY), Button)
        if button["label"] == "More"
    ]
    assert custom_ids.delivered(more["custom_id"]) == (DELIVERY, "flask")


def test_a_post_mentions_just_the_role_it_pings(library: Library) -> None:
    topic = library.topics["flask"]
    shown = texts(components(post_with_role(ENGLISH, topic, 42)))
    assert shown[0].startswith("## This week: Flask\n")  # what a notification begins with
    assert shown[-1] == "<@&42>"
    assert "<@" not in "".join(texts(components(topic_cards.post(ENGLISH, topic, DELIVERY))))


def test_every_framework_links_its_docs_and_its_source(library: Library) -> None:
    for topic in library.topics.values():
        if isinstance(topic, Framework):
            for card in (topic_cards.post(ENGLISH, topic, DELIVERY), topic_cards.lookup(ENGLISH, topic)):
                links = {button["url"] for button in kinds(card, Button) if "url" in button}
                assert {topic.docs, topic.source, topic.homepage} == links


def test_a_framework_that_is_no_longer_developed_says_so_first(library: Library) -> None:
    note = "Nobody works on it any more."
    archived = library.topics["flask"].model_copy(update={"status": Status.ARCHIVED, "status_note": note})
    for card in (
        topic_cards.post(ENGLISH, archived, DELIVERY),
        topic_cards.lookup(ENGLISH, archived),
        topic_cards.section(ENGLISH, archived, "what_it_is"),
    ):
        assert any(text.startswith(f"**Archived.** {note}") for text in texts(components(card)))


def test_the_right_answer_of_a_quiz_is_hidden_and_right() -> None:
    concept = largest_concept()
    quiz = model.Quiz(question="Which?", answers=("red", "green", "blue", "none"), right=2, why="It is.")
    card = topic_cards.section(
        ENGLISH, concept.model_copy(update={"body": concept.body.model_copy(update={"quiz": quiz})}), "quiz"
    )
    text = "\n".join(texts(components(card)))
    assert "C. blue" in text
    assert "||**C.** It is.||" in text


def test_a_select_offers_each_section(library: Library) -> None:
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
def test_what_a_member_typed_is_shown_as_code_so_neither_a_mention_nor_markdown(asked: str) -> None:
    """Inside one line of `code` Discord draws every character as it is, up to the next backtick."""
    [text] = texts(components(topic_lists.near_misses(ENGLISH, asked, [])))
    assert re.fullmatch(r"There is no topic called `[^`\n\r]+`\. `/topic list` shows them all\.", text)


@given(st.text(max_size=6000))
@settings(max_examples=100, deadline=None)
def test_near_misses_are_in_limits_whatever_was_typed(asked: str) -> None:
    assert_in_limits(topic_lists.near_misses(ENGLISH, asked, [largest_framework(number) for number in range(3)]))
    assert_in_limits(topic_lists.near_misses(ENGLISH, asked, []))


BERLIN = GuildSettings("Europe/Berlin")
REASON = "weekbot lacks a permission here; `/weekly status` names it"
TROUBLE = (
    "weekbot is missing View Channel, Read Message History, Send Messages, Create Public Threads, "
    "Send Messages in Threads, Pin Messages; posts can be published only in an announcement channel; "
    f"weekbot isn't allowed to ping @{'r' * 100}"
)


def subscription(number: int) -> Subscription:
    options = Options(SLUG, weekday=2, at=time(23, 59), timezone="America/Argentina/ComodRivadavia", ping_role_id=ROLE)
    slot = next_slot(options.weekly("UTC"), MONDAY)
    return Subscription(number, ROLE, CHANNEL, options, "UTC", round=1, next_slot=slot, last_slot=slot)


def health(number: int, state: State, reason: str = "r" * 2000) -> SubscriptionStatus:
    """A subscription in that state, about which there is as much to say as can be."""
    blocked = reason if state is State.BLOCKED else None
    subscribed = replace(subscription(number), blocked=blocked, paused=state is State.MISSED)
    failures = [REASON, REASON, REASON] if state is State.SENT else []
    last = Delivery(DELIVERY, subscribed, MONDAY, SLUG, 1, True, False, state, message_id=ROLE, message_channel_id=ROLE)
    coming = largest_framework()
    return SubscriptionStatus(subscribed, coming, replace(last, reason=reason), coming.title, failures, TROUBLE)


@pytest.mark.parametrize("state", State)
@in_every_language
def test_the_status_of_a_few_channels_is_in_limits(tr: Language, state: State) -> None:
    for count in (0, 1, 3):
        assert_in_limits(status_card(tr, overview([health(number, state) for number in range(count)]), BERLIN))
    assert_in_limits(manage_card(tr, health(0, state), "n" * 400))


@pytest.mark.parametrize("state", [State.SENT, State.MISSED, State.BLOCKED, State.PENDING, State.UNVERIFIED])
@in_every_language
def test_the_status_of_many_channels_is_in_limits_whatever_is_wrong_with_them(tr: Language, state: State) -> None:
    states = [health(number, state) for number in range(10)]
    assert_in_limits(status_card(tr, overview(states, first=90, total=120), BERLIN))


def test_the_status_of_many_healthy_channels_shows_ten_and_leads_to_the_others(library: Library) -> None:
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


def test_the_status_of_a_channel_says_what_will_keep_its_next_post_from_being_as_it_should() -> None:
    text = status_of(replace(health(1, State.SENT), trouble="the role to ping is gone"))
    assert "Problem: the role to ping is gone." in text
    assert "⚠️ **<#" in text


NEEDS = ["View Channel", "Send Messages"]


def test_a_blocked_channel_whose_permissions_are_back_says_which_it_needs_and_that_the_next_post_tries() -> None:
    text = status_of(replace(health(1, State.BLOCKED, REASON), trouble=None, needs=NEEDS))
    assert (
        "Blocked: weekbot was missing one of View Channel and Send Messages. "
        "Everything seems to be fine now; I'll try again with the next post."
    ) in text
    assert "names it" not in text


def test_a_blocked_channel_that_still_lacks_a_permission_names_it() -> None:
    text = status_of(replace(health(1, State.BLOCKED, REASON), trouble="weekbot is missing Send Messages", needs=NEEDS))
    assert "Blocked: weekbot is missing Send Messages. No topic is lost; I try again each week." in text
    assert "names it" not in text


@pytest.mark.parametrize(
    ("needs", "named"), [(NEEDS, "one of View Channel and Send Messages"), ([], "a permission")], ids=str
)
def test_what_follows_a_post_and_was_refused_names_the_permissions_that_it_needs(needs: list[str], named: str) -> None:
    text = status_of(replace(health(1, State.SENT), trouble=None, failures=[REASON], needs=needs))
    assert f"-# weekbot was missing {named}" in text
    assert "names it" not in text


def test_the_status_of_a_channel_in_which_nothing_is_wrong_says_so() -> None:
    text = status_of(replace(health(1, State.SENT), trouble=None, failures=[]))
    assert "✅ **<#" in text
    assert "Problem: " not in text
